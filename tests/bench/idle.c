/* What idle circuits, streams and links cost a real tunic-relay: its resident memory by /proc, while this program is its whole
 * network: the authority whose signature makes the consensus, the neighbours on both sides, the destination of its streams.
 *
 * usage: idle [--series]: `name value` lines; with --series, at every step up to 100,000 circuits. All on loopback.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/key_file.h"
#include "io/launch.h"
#include "io/loop.h"
#include "network/init.h"
#include "protocol/limits.h"
#include "relay/keeper.h"
#include "tests/bench/peer.h"

enum {
  BEFORE = 2,               /* neighbours 0 and 1 open circuits, the other two are where these go on to */
  SOCKETS = 12000, CIRCUITS = 100000, STREAMS_PER_CIRCUIT = LIMIT_STREAMS_OF_A_FEW, /* that a relay has room for, [STREAM-21] */
  FIRST_CIRCUITS = 300, FIRST_STREAMS = 10, /* before the counting: they fill the cache of cipher contexts, lease the first slabs */
  ASKED_AT_ONCE = LIMIT_CREATES_QUEUED_PER_LINK, DESTINATIONS = 2, PATIENCE_TURNS = 60000,
};

#define SETTLE (300 * MILLISECONDS) /* what was leased in a burst goes back */

static const uint32_t ALL_STEPS[] = {300, 1000, 3000, 10000, 30000, 100000};
static const uint32_t ONE_STEP[] = {10000};

/* A link over a socket. */
struct wire { int fd; struct peer_link link; };

struct lab {
  char path[64], relay_program[4096];
  struct folder *folder, *relay_folder;
  struct network_file file;
  struct key_ring keys;
  struct peers peers;
  struct peer_circuit *circuits;
  int listeners[PEER_NEIGHBOURS], destinations[DESTINATIONS];
  struct address destination[DESTINATIONS];
  struct wire *wires;
  uint32_t wire_count, first_wire; /* those from first_wire on are looked at */
  int *taken;                      /* sockets of streams, at the destination */
  uint32_t taken_count;
  pid_t relay;
};

static char folder_to_remove[64];
static volatile sig_atomic_t interrupted;

/* However this program ends; the relay ends with it. */
static void remove_folder(void) {
  pid_t rm = folder_to_remove[0] == 0 ? -1 : fork();
  if (rm == 0) {
    execlp("rm", "rm", "-rf", "--", folder_to_remove, (char *)NULL);
    _exit(1);
  }
  if (rm > 0) waitpid(rm, NULL, 0);
}

static void interrupt(int number) {
  interrupted = number;
}

static void end_in_order(void) {
  const struct sigaction action = {.sa_handler = interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  atexit(remove_folder);
}

static void require_at(bool ok, int line) {
  if (ok) return;
  fprintf(stderr, "idle.c:%d: this does not hold (%s)\n", line, strerror(errno));
  exit(1);
}
#define require(ok) require_at(ok, __LINE__)

/* ---- sockets ---- */

static int listen_anywhere(struct address *ret) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof name;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  require(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && listen(fd, 4096) == 0);
  require(getsockname(fd, (struct sockaddr *)&name, &len) == 0);
  *ret = (struct address){.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = ntohs(name.sin_port)};
  return fd;
}

static int dial(const struct address *to) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(to->port)};
  for (int i = 0; i < 500; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0) return fd;
    close(fd);
    usleep(10000);
  }
  require(false); /* the relay does not listen */
  return -1;
}

static struct wire *add_wire(struct lab *lab, int fd) {
  require(fd >= 0 && lab->wire_count < SOCKETS);
  struct wire *wire = &lab->wires[lab->wire_count++];
  wire->fd = fd;
  return wire;
}

static struct wire *call(struct lab *lab, int neighbour) {
  struct wire *wire = add_wire(lab, dial(&lab->peers.relay.address));
  peer_link_call(&lab->peers, &wire->link, neighbour);
  return wire;
}

static bool speak(struct lab *lab, struct wire *wire) {
  static uint8_t out[PEER_BUFFER_BYTES];
  size_t len = peer_link_give(&lab->peers, &wire->link, out, sizeof out);
  for (size_t at = 0; at < len;) { /* a relay always reads its links */
    ssize_t sent = send(wire->fd, out + at, len - at, MSG_NOSIGNAL);
    require(sent > 0);
    at += (size_t)sent;
  }
  return len > 0;
}

static bool listen_to(struct lab *lab, struct wire *wire) {
  static uint8_t in[64 * 1024];
  ssize_t got = recv(wire->fd, in, sizeof in, MSG_DONTWAIT);
  require(got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)));
  if (got > 0) peer_link_take(&lab->peers, &wire->link, in, (size_t)got);
  return got > 0;
}

static void accept_all(struct lab *lab) {
  int fd;
  for (int i = 0; i < PEER_NEIGHBOURS; i++)
    while ((fd = accept4(lab->listeners[i], NULL, NULL, SOCK_CLOEXEC)) >= 0) peer_link_answer(&lab->peers, &add_wire(lab, fd)->link, i);
  for (int i = 0; i < DESTINATIONS; i++)
    while ((fd = accept4(lab->destinations[i], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
      require(lab->taken_count < SOCKETS);
      lab->taken[lab->taken_count++] = fd;
    }
}

/* Everybody says and hears what there is; waits a moment if that was nothing. */
static void turn(struct lab *lab) {
  bool moved = false;
  if (interrupted != 0) exit(1);
  lab->peers.now = loop_now();
  accept_all(lab);
  for (uint32_t i = lab->first_wire; i < lab->wire_count; i++) {
    moved = speak(lab, &lab->wires[i]) || moved;
    moved = listen_to(lab, &lab->wires[i]) || moved;
  }
  if (!moved) usleep(200);
}

static void turn_for(struct lab *lab, uint64_t duration) {
  instant until = instant_after(loop_now(), duration);
  while (loop_now() < until) turn(lab);
}

/* ---- the network ---- */

static void write_keys(struct lab *lab, struct random_stream *random) {
  struct onion_keys onion = {.count = 1};
  struct relay_entry *relay = &lab->peers.relay;
  char text[512];
  require(key_ring_open(lab->relay_folder, 1U << KEY_IDENTITY | 1U << KEY_LINK | 1U << KEY_SIGNING, random, &lab->keys, NULL, NULL) == OUTCOME_OK);
  key_ring_public(&lab->keys, KEY_IDENTITY, relay->identity);
  key_ring_public(&lab->keys, KEY_LINK, relay->link_key);
  relay->onion_generation = onion.keys[0].generation = network_onion_generation(&lab->file.timing, launch_date());
  random_bytes(random, onion.keys[0].secret, X25519_BYTES);
  x25519_public(onion.keys[0].public_key, onion.keys[0].secret);
  memcpy(relay->onion_key, onion.keys[0].public_key, X25519_BYTES);
  size_t len = onion_keys_format(&onion, text, sizeof text);
  require(folder_write(lab->relay_folder, KEEPER_ONION_KEYS_FILE, text, len, true, NULL) == OUTCOME_OK);
}

static void write_consensus(struct lab *lab, const struct folder *authority) {
  struct key_ring ring;
  require(key_ring_open(authority, 1U << KEY_IDENTITY, NULL, &ring, NULL, NULL) == OUTCOME_OK);
  struct document *consensus = peers_consensus(&lab->peers, ring.keys[KEY_IDENTITY]->bytes, launch_date());
  require(folder_write(lab->relay_folder, KEEPER_CONSENSUS_FILE, document_bytes(consensus), document_len(consensus), false, NULL) == OUTCOME_OK);
  document_release(consensus);
  key_ring_close(&ring);
}

static void open_folder(struct lab *lab, const char *name, struct folder **ret) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", lab->path, name);
  require(folder_open(path, ret, NULL) == OUTCOME_OK);
}

static void make_network(struct lab *lab) {
  struct init_wishes wishes = {.name = "bench", .is_production = true};
  struct random_stream random;
  struct folder *authority;
  struct address nowhere = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = 1};
  random_init(&random, (const uint8_t[RANDOM_SEED_BYTES]){1});
  snprintf(lab->path, sizeof lab->path, "/tmp/tunic-bench-XXXXXX");
  require(mkdtemp(lab->path) != NULL);
  memcpy(folder_to_remove, lab->path, sizeof folder_to_remove);
  require(folder_open(lab->path, &lab->folder, NULL) == OUTCOME_OK);
  init_wish_authorities(&wishes, 1, &nowhere);
  require(init_network(lab->folder, &wishes, launch_date(), &random, &lab->file, NULL) == OUTCOME_OK);
  peers_init(&lab->peers, lab->file.id);
  struct relay_entry *relay = &lab->peers.relay;
  *relay = lab->peers.neighbours[0];
  relay->layer_suite = aead_suite_has_hardware(AEAD_AES256_GCM) ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  snprintf(relay->nickname, sizeof relay->nickname, "measured");
  close(listen_anywhere(&relay->address));
  for (int i = 0; i < PEER_NEIGHBOURS; i++) lab->listeners[i] = listen_anywhere(&lab->peers.neighbours[i].address);
  for (int i = 0; i < DESTINATIONS; i++) lab->destinations[i] = listen_anywhere(&lab->destination[i]);
  open_folder(lab, "relay", &lab->relay_folder);
  open_folder(lab, "a1", &authority);
  write_keys(lab, &random);
  write_consensus(lab, authority);
  folder_close(authority);
}

static void remove_network(struct lab *lab) {
  key_ring_close(&lab->keys);
  folder_close(lab->relay_folder);
  folder_close(lab->folder);
  for (int i = 0; i < PEER_NEIGHBOURS; i++) close(lab->listeners[i]);
  for (int i = 0; i < DESTINATIONS; i++) close(lab->destinations[i]);
  peers_wipe(&lab->peers);
}

/* ---- the relay ---- */

static void start_relay(struct lab *lab) {
  char network[128], data[128], port[8];
  snprintf(network, sizeof network, "%s/" NETWORK_FILE, lab->path);
  snprintf(data, sizeof data, "%s/relay", lab->path);
  snprintf(port, sizeof port, "%u", lab->peers.relay.address.port);
  pid_t parent = getpid();
  lab->relay = fork();
  require(lab->relay >= 0);
  if (lab->relay == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    execl(lab->relay_program, "tunic-relay", "--network", network, "--data", data, "--address", "93.184.216.34", "--listen", "127.0.0.1", "--port", port,
          "--shards", "1", "--nickname", "measured", "--log", "error", "--exit-policy", "accept private:*", "--memory", "1024", (char *)NULL);
    _exit(1);
  }
  close(dial(&lab->peers.relay.address)); /* it listens */
}

static void stop_relay(struct lab *lab) {
  for (uint32_t i = 0; i < lab->wire_count; i++) {
    for (struct trunk_side *side; (side = trunk_any_side(lab->wires[i].link.trunk)) != NULL;) {
      struct peer_circuit *circuit = LIST_OBJECT(side, struct peer_circuit, side);
      peer_circuit_wipe(&lab->peers, circuit);
      if (!circuit->is_ours) free(circuit);
    }
    peer_link_wipe(&lab->wires[i].link);
    close(lab->wires[i].fd);
  }
  for (uint32_t i = 0; i < lab->taken_count; i++) close(lab->taken[i]);
  kill(lab->relay, SIGTERM);
  require(waitpid(lab->relay, NULL, 0) == lab->relay);
  lab->wire_count = lab->first_wire = lab->taken_count = 0;
  lab->peers.opened = lab->peers.extended = lab->peers.connected = lab->peers.closed = 0;
  memset(lab->circuits, 0, (FIRST_CIRCUITS + CIRCUITS) * sizeof *lab->circuits);
}

static double resident_bytes(const struct lab *lab) {
  char path[64], line[256];
  long kilobytes = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)lab->relay);
  FILE *status = fopen(path, "r");
  require(status != NULL);
  while (fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, "VmRSS:", 6) == 0) kilobytes = strtol(line + 6, NULL, 10);
  fclose(status);
  require(kilobytes > 0);
  return (double)kilobytes * 1024;
}

/* ---- measuring ---- */

static void wait_for_links(struct lab *lab) {
  for (int i = 0; i < PATIENCE_TURNS; i++) {
    bool all = true;
    for (uint32_t w = lab->first_wire; w < lab->wire_count; w++) all = all && peer_link_is_open(&lab->wires[w].link);
    if (all) return;
    turn(lab);
  }
  require(false);
}

/* Circuits from the neighbours before the relay, extended to those behind it: both of a relay's sides. */
static void grow_circuits(struct lab *lab, uint32_t wanted, bool extends) {
  struct peers *peers = &lab->peers;
  static uint32_t begun, asked;
  if (peers->opened == 0) begun = asked = 0;
  int patience = PATIENCE_TURNS;
  while (peers->opened < wanted || (extends && peers->extended < wanted)) {
    uint32_t before = peers->opened + peers->extended;
    for (; begun < wanted && begun - peers->opened < ASKED_AT_ONCE; begun++)
      peer_circuit_open(peers, &lab->wires[begun % BEFORE].link, &lab->circuits[begun], extends ? 1 : LIMIT_EXIT_PLACE);
    for (; extends && asked < begun && lab->circuits[asked].handshake == NULL && asked - peers->extended < 4 * ASKED_AT_ONCE; asked++)
      peer_circuit_extend(peers, &lab->circuits[asked], BEFORE + (int)(asked % BEFORE));
    turn(lab);
    patience = peers->opened + peers->extended > before ? PATIENCE_TURNS : patience - 1;
    require(patience > 0 && peers->closed == 0);
  }
  turn_for(lab, SETTLE);
}

static void call_from_neighbours(struct lab *lab) {
  for (int i = 0; i < BEFORE; i++) call(lab, i);
  wait_for_links(lab);
}

static void begin_neighbours(struct lab *lab) {
  start_relay(lab);
  turn_for(lab, SETTLE);
  call_from_neighbours(lab);
}

static void tell(const char *name, uint32_t count, double before, double after, bool series) {
  if (series) printf("growth_%s_resident_%u_bytes %.0f\n", name, count, after - before);
  else printf("idle_%s_resident_bytes %.0f\n", name, (after - before) / count);
  fflush(stdout);
}

static void measure_circuits(struct lab *lab, const uint32_t *steps, size_t count, bool series) {
  start_relay(lab);
  turn_for(lab, SETTLE);
  if (!series) printf("idle_relay_resident_MB %.1f\n", resident_bytes(lab) / 1e6);
  call_from_neighbours(lab);
  grow_circuits(lab, FIRST_CIRCUITS, true);
  double before = resident_bytes(lab);
  for (size_t i = 0; i < count; i++) {
    grow_circuits(lab, FIRST_CIRCUITS + steps[i], true);
    tell("circuits", steps[i], before, resident_bytes(lab), series);
  }
  stop_relay(lab);
}

static void grow_streams(struct lab *lab, uint32_t wanted) {
  struct peers *peers = &lab->peers;
  int patience = PATIENCE_TURNS;
  for (uint32_t begun = peers->connected; peers->connected < wanted || lab->taken_count < wanted;) {
    for (; begun < wanted && begun - peers->connected < ASKED_AT_ONCE; begun++)
      peer_circuit_begin(peers, &lab->circuits[begun / STREAMS_PER_CIRCUIT], (uint16_t)(1 + begun % STREAMS_PER_CIRCUIT),
                         &lab->destination[begun % DESTINATIONS]);
    turn(lab);
    require(--patience > 0 && peers->closed == 0);
  }
  turn_for(lab, SETTLE);
}

static void measure_streams(struct lab *lab, const uint32_t *steps, size_t count, bool series) {
  begin_neighbours(lab);
  grow_circuits(lab, (FIRST_STREAMS + steps[count - 1]) / STREAMS_PER_CIRCUIT + 1, false);
  grow_streams(lab, FIRST_STREAMS);
  double before = resident_bytes(lab);
  for (size_t i = 0; i < count; i++) {
    grow_streams(lab, FIRST_STREAMS + steps[i]);
    tell("streams", steps[i], before, resident_bytes(lab), series);
  }
  stop_relay(lab);
}

static void measure_links(struct lab *lab, const uint32_t *steps, size_t count, bool series) {
  begin_neighbours(lab);
  double before = resident_bytes(lab);
  uint32_t others = lab->wire_count;
  for (size_t i = 0; i < count; i++) {
    while (lab->wire_count - others < steps[i]) {
      lab->first_wire = lab->wire_count;
      for (uint32_t k = 0; k < 50 && lab->wire_count - others < steps[i]; k++) call(lab, PEER_CLIENT);
      wait_for_links(lab);
    }
    turn_for(lab, SETTLE);
    tell("links", steps[i], before, resident_bytes(lab), series);
  }
  stop_relay(lab);
}

int main(int argc, char **argv) {
  static struct lab lab;
  bool series = argc > 1 && strcmp(argv[1], "--series") == 0;
  const uint32_t *steps = series ? ALL_STEPS : ONE_STEP;
  const char *slash = strrchr(argv[0], '/');
  require(crypto_start() && slash != NULL);
  end_in_order();
  snprintf(lab.relay_program, sizeof lab.relay_program, "%.*s/../../tunic-relay", (int)(slash - argv[0]), argv[0]);
  lab.circuits = calloc(FIRST_CIRCUITS + CIRCUITS, sizeof *lab.circuits);
  lab.wires = calloc(SOCKETS, sizeof *lab.wires);
  lab.taken = calloc(SOCKETS, sizeof *lab.taken);
  require(lab.circuits != NULL && lab.wires != NULL && lab.taken != NULL);
  make_network(&lab);
  measure_circuits(&lab, steps, series ? 6 : 1, series);
  measure_streams(&lab, steps, series ? 4 : 1, series);
  measure_links(&lab, series ? steps : (const uint32_t[]){1000}, series ? 4 : 1, series);
  remove_network(&lab);
  free(lab.circuits);
  free(lab.wires);
  free(lab.taken);
  return 0;
}
