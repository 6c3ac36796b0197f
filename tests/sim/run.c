/* `make sim SEED=n`: one simulated network from its seed: authorities, relays, clients, applications; says what came of it.
 * The same seed gives the same run, to the last byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/network.h"

static void print_line(void *context, enum trace_level level, const char *area, const char *text) {
  const struct sim *sim = context;
  printf("%10.6f %-7s %s: %s\n", (double)(sim->now - 1000 * SECONDS) / 1e9, trace_level_name(level), area, text);
}

int main(int argc, char **argv) {
  struct network_options options = {.authorities = 1, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS};
  static struct network network;
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  if (argc > 2) options.authorities = (uint32_t)strtoul(argv[2], NULL, 10);
  if (argc > 3) options.relays = (uint32_t)strtoul(argv[3], NULL, 10);
  network_init(&network, seed, &options);
  network.sim.trace = (struct trace){.level = argc > 4 ? TRACE_DEBUG : TRACE_NOTICE, .context = &network.sim, .sink = print_line};
  instant start = network.sim.now;
  bool ready = network_run_until_ready(&network, 120 * SECONDS);
  printf("ready: %s after %.3f s of virtual time\n", ready ? "yes" : "no", (double)(network.sim.now - start) / 1e9);
  uint32_t first = network_fetch(&network, 1, NULL, 5000000, false), second = network_fetch(&network, 1, "other", 100000, true);
  instant began = network.sim.now;
  bool fetched = ready && network_run_until_fetched(&network, 120 * SECONDS);
  struct node *app = network_node(&network, "app1");
  for (uint32_t i = first; i <= second; i++) {
    const struct fetch_result *result = fetcher_result(app->fetcher, i);
    printf("fetch %u: %llu of %llu bytes, reply %u, first byte after %.1f ms, all after %.1f ms%s\n", i, (unsigned long long)result->got,
           (unsigned long long)result->want, result->socks_reply, (double)(result->first_byte - began) / 1e6,
           (double)(result->ended - began) / 1e6, result->failed ? ", FAILED" : "");
    fetched = fetched && !result->failed;
  }
  printf("seed %llu: %s; %llu turns, %llu chunks, %llu bytes\n", (unsigned long long)seed, fetched && !network.sim.broken ? "all well" : "BROKEN",
         (unsigned long long)network.sim.turns, (unsigned long long)network.sim.chunks, (unsigned long long)network.sim.bytes);
  if (!fetched) network_print_status(&network);
  network_wipe(&network);
  return fetched ? 0 : 1;
}
