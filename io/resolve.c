#include "io/resolve.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/system_address.h"
#include "protocol/limits.h"
#include "protocol/list.h"

struct resolver {
  struct resolver_config config;
  struct loop *loop;
  struct evdns_base *dns;
  struct loop_timer *timer; /* for the lookup that has waited longest */
  struct list lookups;      /* all wait equally long, so in the order of their deadlines */
  uint32_t count;           /* of lookups that are not freed yet */
};

/* Freed when libevent is done with it, which may be after it was answered. */
struct lookup {
  struct resolver *resolver;
  struct list_node node; /* among those not answered yet */
  struct id id;
  instant deadline;
  struct evdns_getaddrinfo_request *request;
};

/* A name server's own troubles are not the name's fault. */
static enum outcome outcome_of(int error) {
  if (error == 0) return OUTCOME_OK;
  return error == EVUTIL_EAI_NONAME || error == EVUTIL_EAI_NODATA ? OUTCOME_NAME_NOT_FOUND : OUTCOME_NAME_LOOKUP_FAILED;
}

static bool contains(const struct address *addresses, uint32_t count, const struct address *address) {
  for (uint32_t i = 0; i < count; i++)
    if (address_host_equal(&addresses[i], address)) return true;
  return false;
}

static uint32_t collect(const struct evutil_addrinfo *found, struct address ret[RESOLVE_ADDRESSES_MAX]) {
  uint32_t count = 0;
  for (; found != NULL && count < RESOLVE_ADDRESSES_MAX; found = found->ai_next) {
    struct address address;
    if (!address_from_system(found->ai_addr, &address)) continue;
    address.port = 0;
    if (!contains(ret, count, &address)) ret[count++] = address;
  }
  return count;
}

static void answer(struct lookup *lookup, enum outcome outcome, const struct address *addresses, uint32_t count) {
  const struct resolver_config *config = &lookup->resolver->config;
  list_leave(&lookup->node);
  config->callback(config->context, lookup->id, outcome, addresses, count);
}

static void answered(int error, struct evutil_addrinfo *found, void *context) {
  struct lookup *lookup = context;
  struct address addresses[RESOLVE_ADDRESSES_MAX];
  uint32_t count = collect(found, addresses);
  if (found != NULL) evutil_freeaddrinfo(found);
  enum outcome outcome = outcome_of(error);
  if (outcome == OUTCOME_OK && count == 0) outcome = OUTCOME_NAME_NOT_FOUND;
  if (list_contains_node(&lookup->node)) answer(lookup, outcome, addresses, outcome == OUTCOME_OK ? count : 0);
  lookup->resolver->count--;
  free(lookup);
}

static void give_up(struct lookup *lookup) {
  answer(lookup, OUTCOME_NAME_LOOKUP_FAILED, NULL, 0);
  evdns_getaddrinfo_cancel(lookup->request); /* frees the lookup, by and by */
}

static void set_timer(struct resolver *resolver, instant now) {
  struct list_node *node = list_first(&resolver->lookups);
  if (node == NULL) loop_timer_set(resolver->timer, INSTANT_NEVER);
  else loop_timer_set(resolver->timer, instant_until(now, LIST_OBJECT(node, struct lookup, node)->deadline));
}

static void expire(void *context) {
  struct resolver *resolver = context;
  instant now = loop_now();
  for (struct list_node *node; (node = list_first(&resolver->lookups)) != NULL;) {
    struct lookup *lookup = LIST_OBJECT(node, struct lookup, node);
    if (lookup->deadline > now) break;
    give_up(lookup);
  }
  set_timer(resolver, now);
}

/* Without DNS_OPTION_SEARCH: an exit asks for the name that the client wrote, and for no other. */
static void read_configuration(struct resolver *resolver) {
  const char *path = resolver->config.resolv_conf;
  (void)evdns_base_resolv_conf_parse(resolver->dns, DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC | DNS_OPTION_NAMESERVERS_NO_DEFAULT,
                                     path == NULL ? "/etc/resolv.conf" : path);
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_config *config) {
  struct resolver *resolver = calloc(1, sizeof *resolver);
  if (resolver == NULL) return NULL;
  resolver->config = *config;
  resolver->loop = loop;
  list_init(&resolver->lookups);
  resolver->timer = loop_timer_new(loop, expire, resolver);
  resolver->dns = evdns_base_new(loop_base(loop), 0);
  if (resolver->timer == NULL || resolver->dns == NULL) {
    resolver_free(resolver);
    return NULL;
  }
  (void)evdns_base_load_hosts(resolver->dns, config->hosts == NULL ? "/etc/hosts" : config->hosts);
  read_configuration(resolver);
  evdns_base_set_option(resolver->dns, "timeout:", "3");
  char inflight[16]; /* a question for each family: slow names must not keep the others' waiting */
  snprintf(inflight, sizeof inflight, "%d", 2 * LIMIT_LOOKUPS_PER_SHARD);
  evdns_base_set_option(resolver->dns, "max-inflight:", inflight);
  evdns_base_set_option(resolver->dns, "getaddrinfo-allow-skew:", "1");
  return resolver;
}

void resolver_free(struct resolver *resolver) {
  if (resolver == NULL) return;
  for (struct list_node *node; (node = list_take_first(&resolver->lookups)) != NULL;)
    evdns_getaddrinfo_cancel(LIST_OBJECT(node, struct lookup, node)->request);
  event_base_loop(loop_base(resolver->loop), EVLOOP_NONBLOCK); /* cancelled lookups are freed in the loop */
  if (resolver->dns != NULL) evdns_base_free(resolver->dns, 0);
  loop_timer_free(resolver->timer);
  free(resolver);
}

void resolver_ask(struct resolver *resolver, struct id id, const char *name) {
  static const struct evutil_addrinfo HINTS = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
  bool is_full = resolver->count >= LIMIT_LOOKUPS_PER_SHARD; /* [STREAM-20] */
  struct lookup *lookup = is_full ? NULL : calloc(1, sizeof *lookup);
  if (lookup == NULL) {
    resolver->config.callback(resolver->config.context, id, is_full ? OUTCOME_TOO_BUSY : OUTCOME_NO_MEMORY, NULL, 0);
    return;
  }
  resolver->count++;
  instant now = loop_now();
  *lookup = (struct lookup){.resolver = resolver, .id = id, .deadline = instant_after(now, resolver->config.wait)};
  list_append(&resolver->lookups, &lookup->node);
  if (evdns_base_count_nameservers(resolver->dns) == 0) read_configuration(resolver);
  struct evdns_getaddrinfo_request *request = evdns_getaddrinfo(resolver->dns, name, NULL, &HINTS, answered, lookup);
  if (request == NULL) return; /* answered, and the lookup is gone */
  lookup->request = request;
  if (evdns_base_count_nameservers(resolver->dns) == 0) give_up(lookup);
  else if (list_first(&resolver->lookups) == &lookup->node) set_timer(resolver, now);
}
