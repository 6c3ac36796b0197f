#include "io/resolve.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/system_address.h"
#include "protocol/limits.h"
#include "tests/unit/io/loopback.h"

/* A name server that the test steps: answers A and AAAA of known names, NXDOMAIN for "none.", silence for "silent.". */
struct name_server { int fd; struct address address; int asked; char last_name[256]; };

struct asked { int count; struct id id; enum outcome outcome; uint32_t found; struct address addresses[RESOLVE_ADDRESSES_MAX]; };

struct scene { char path[64], resolv_conf[96], hosts[96]; struct loop *loop; struct resolver *resolver; struct asked asked; };

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  cr_assert_not_null(file);
  fputs(text, file);
  fclose(file);
}

static void server_start(struct name_server *server) {
  struct sockaddr_storage system;
  struct address any = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}};
  socklen_t len = address_to_system(&any, &system);
  *server = (struct name_server){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
  cr_assert(bind(server->fd, (struct sockaddr *)&system, len) == 0);
  cr_assert(getsockname(server->fd, (struct sockaddr *)&system, &len) == 0);
  cr_assert(address_from_system((struct sockaddr *)&system, &server->address));
}

/* The question's name as text, and where the question ends. */
static size_t read_question(const uint8_t *query, size_t len, char name[256], uint16_t *ret_type) {
  size_t at = 12, out = 0;
  while (at < len && query[at] != 0 && out + query[at] + 2 < 256) {
    memcpy(name + out, query + at + 1, query[at]);
    out += query[at];
    name[out++] = '.';
    at += (size_t)query[at] + 1;
  }
  name[out] = 0;
  *ret_type = (uint16_t)(query[at + 1] << 8 | query[at + 2]);
  return at + 5;
}

static size_t add_records(uint8_t *out, size_t at, uint16_t type, int count) {
  size_t size = type == 1 ? 4 : 16;
  for (int i = 0; i < count; i++) {
    const uint8_t head[12] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)size};
    memcpy(out + at, head, sizeof head);
    memset(out + at + 12, 0x20, size);
    out[at + 11 + size] = (uint8_t)(i + 1);
    at += 12 + size;
  }
  return at;
}

static void server_step(struct name_server *server) {
  uint8_t bytes[1024];
  struct sockaddr_storage from;
  socklen_t from_len = sizeof from;
  ssize_t len = recvfrom(server->fd, bytes, 512, 0, (struct sockaddr *)&from, &from_len);
  uint16_t type;
  if (len < 17) return;
  server->asked++;
  size_t end = read_question(bytes, (size_t)len, server->last_name, &type);
  if (strncasecmp(server->last_name, "silent.", 7) == 0) return;
  bool none = strncasecmp(server->last_name, "none.", 5) == 0;
  int count = none ? 0 : strncasecmp(server->last_name, "many.", 5) == 0 ? 12 : type == 1 ? 2 : 1;
  bytes[2] = 0x81;
  bytes[3] = (uint8_t)(0x80 | (none ? 3 : 0));
  memset(bytes + 4, 0, 8);
  bytes[5] = 1;
  bytes[7] = (uint8_t)count;
  end = add_records(bytes, end, type, count);
  cr_assert(sendto(server->fd, bytes, end, 0, (struct sockaddr *)&from, from_len) == (ssize_t)end);
}

static void answered(void *context, struct id id, enum outcome outcome, const struct address *addresses, uint32_t count) {
  struct asked *asked = context;
  asked->count++;
  asked->id = id;
  asked->outcome = outcome;
  asked->found = count;
  if (count > 0) memcpy(asked->addresses, addresses, count * sizeof *addresses);
}

static void scene_start(struct scene *scene, const char *resolv_conf, const char *hosts, uint64_t wait) {
  *scene = (struct scene){.loop = loop_new()};
  temporary_folder(scene->path);
  snprintf(scene->resolv_conf, sizeof scene->resolv_conf, "%s/resolv.conf", scene->path);
  snprintf(scene->hosts, sizeof scene->hosts, "%s/hosts", scene->path);
  if (resolv_conf != NULL) write_text(scene->resolv_conf, resolv_conf);
  write_text(scene->hosts, hosts);
  struct resolver_config config = {.resolv_conf = scene->resolv_conf, .hosts = scene->hosts, .wait = wait,
                                   .callback = answered, .context = &scene->asked};
  scene->resolver = resolver_new(scene->loop, &config);
  cr_assert_not_null(scene->resolver);
}

static void scene_end(struct scene *scene) {
  resolver_free(scene->resolver);
  loop_free(scene->loop);
  temporary_folder_remove(scene->path);
}

static void with_server(struct scene *scene, struct name_server *server, uint64_t wait) {
  char text[128];
  server_start(server);
  snprintf(text, sizeof text, "search inside.example\nnameserver 127.0.0.1:%u\n", server->address.port);
  scene_start(scene, text, "127.0.0.1 localhost\n192.0.2.7 known\n", wait);
}

static void until_answered(struct scene *scene, struct name_server *server) {
  instant limit = instant_after(loop_now(), LOOPBACK_HANG);
  while (scene->asked.count == 0 && loop_now() < limit) {
    if (server != NULL) server_step(server);
    loop_wait(scene->loop, 2 * MILLISECONDS);
  }
  cr_assert_eq(scene->asked.count, 1);
}

Test(resolve, both_families_come_in_one_answer) {
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 10 * SECONDS);
  resolver_ask(scene.resolver, (struct id){5, 6}, "www.example");
  until_answered(&scene, &server);
  cr_assert_eq(scene.asked.outcome, OUTCOME_OK);
  cr_assert(id_equal(scene.asked.id, (struct id){5, 6}));
  cr_assert_eq(scene.asked.found, 3);
  int of_ipv6 = 0;
  for (uint32_t i = 0; i < 3; i++) of_ipv6 += scene.asked.addresses[i].family == ADDRESS_IPV6;
  cr_assert_eq(of_ipv6, 1);
  cr_assert_eq(scene.asked.addresses[0].port, 0);
  scene_end(&scene);
  close(server.fd);
}

Test(resolve, many_addresses_are_cut_to_what_an_event_holds) {
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 10 * SECONDS);
  resolver_ask(scene.resolver, (struct id){5, 6}, "many.example");
  until_answered(&scene, &server);
  cr_assert_eq(scene.asked.found, RESOLVE_ADDRESSES_MAX);
  scene_end(&scene);
  close(server.fd);
}

/* A stranger's name must not turn into one of the exit's own network. */
Test(resolve, a_name_that_does_not_exist_is_not_tried_in_the_search_domains) {
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 10 * SECONDS);
  resolver_ask(scene.resolver, (struct id){5, 6}, "none.example");
  until_answered(&scene, &server);
  cr_assert_eq(scene.asked.outcome, OUTCOME_NAME_NOT_FOUND);
  cr_assert_eq(scene.asked.found, 0);
  cr_assert_null(strstr(server.last_name, "inside"));
  scene_end(&scene);
  close(server.fd);
}

Test(resolve, a_silent_server_ends_in_a_failed_lookup_in_time) {
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 200 * MILLISECONDS);
  resolver_ask(scene.resolver, (struct id){5, 6}, "silent.example");
  until_answered(&scene, &server);
  cr_assert_eq(scene.asked.outcome, OUTCOME_NAME_LOOKUP_FAILED);
  scene_end(&scene);
  close(server.fd);
}

Test(resolve, what_is_asked_when_it_ends_is_not_answered_and_nothing_leaks) {
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 10 * SECONDS);
  for (uint32_t i = 1; i <= 40; i++) resolver_ask(scene.resolver, (struct id){i, 1}, "silent.example");
  loop_wait(scene.loop, 1 * MILLISECONDS);
  scene_end(&scene);
  cr_assert_eq(scene.asked.count, 0);
  close(server.fd);
}

/* Names whose servers never answer, asked for by streams that then go away: lookups outlive them. */
Test(resolve, no_more_lookups_are_under_way_than_their_limit) {
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 2 * SECONDS);
  for (uint32_t i = 1; i <= LIMIT_LOOKUPS_PER_SHARD; i++) resolver_ask(scene.resolver, (struct id){i, 1}, "silent.example");
  cr_assert_eq(scene.asked.count, 0);
  resolver_ask(scene.resolver, (struct id){9, 9}, "www.example");
  cr_assert_eq(scene.asked.count, 1, "one more is refused at once");
  cr_assert(id_equal(scene.asked.id, (struct id){9, 9}));
  cr_assert_eq(scene.asked.outcome, OUTCOME_TOO_BUSY);
  for (instant limit = instant_after(loop_now(), LOOPBACK_HANG); scene.asked.count <= LIMIT_LOOKUPS_PER_SHARD && loop_now() < limit;)
    loop_wait(scene.loop, 2 * MILLISECONDS);
  cr_assert_eq(scene.asked.count, 1 + LIMIT_LOOKUPS_PER_SHARD, "the others come to their end");
  for (int asked = -1; asked != server.asked;) {
    asked = server.asked;
    server_step(&server); /* reads what waits for it, and is silent */
  }
  scene.asked.count = 0;
  loop_wait(scene.loop, 2 * MILLISECONDS);
  resolver_ask(scene.resolver, (struct id){5, 6}, "www.example");
  until_answered(&scene, &server);
  cr_assert_eq(scene.asked.outcome, OUTCOME_OK, "and there is room again: %s", outcome_name(scene.asked.outcome));
  scene_end(&scene);
  close(server.fd);
}

static void without_servers(const char *resolv_conf) {
  struct scene scene;
  scene_start(&scene, resolv_conf, "127.0.0.1 localhost\n192.0.2.7 known\n", 10 * SECONDS);
  resolver_ask(scene.resolver, (struct id){1, 1}, "www.example");
  until_answered(&scene, NULL);
  cr_assert_eq(scene.asked.outcome, OUTCOME_NAME_LOOKUP_FAILED);
  scene.asked.count = 0;
  resolver_ask(scene.resolver, (struct id){2, 1}, "localhost");
  until_answered(&scene, NULL);
  cr_assert_eq(scene.asked.outcome, OUTCOME_OK);
  cr_assert_geq(scene.asked.found, 1);
  cr_assert_eq(scene.asked.addresses[0].bytes[0], 127);
  scene_end(&scene);
}

Test(resolve, without_name_servers_lookups_fail_and_hosts_still_answer) {
  without_servers(NULL);
  without_servers("");
}

/* A laptop's network comes up after the node. */
Test(resolve, name_servers_that_appear_later_are_used) {
  struct scene scene;
  struct name_server server;
  char text[64];
  scene_start(&scene, NULL, "", 10 * SECONDS);
  server_start(&server);
  snprintf(text, sizeof text, "nameserver 127.0.0.1:%u\n", server.address.port);
  write_text(scene.resolv_conf, text);
  resolver_ask(scene.resolver, (struct id){1, 1}, "www.example");
  until_answered(&scene, &server);
  cr_assert_eq(scene.asked.outcome, OUTCOME_OK);
  scene_end(&scene);
  close(server.fd);
}

Test(resolve, names_that_no_server_could_know_are_answered_too) {
  static const char LONG[] = "a123456789012345678901234567890123456789012345678901234567890123456789.example";
  struct scene scene;
  struct name_server server;
  with_server(&scene, &server, 10 * SECONDS);
  resolver_ask(scene.resolver, (struct id){1, 1}, LONG);
  until_answered(&scene, &server);
  cr_assert_neq(scene.asked.outcome, OUTCOME_OK);
  scene_end(&scene);
  close(server.fd);
}
