/* Machines around the network in the simulator: a web server that answers "GET /N" with N bytes and takes "PUT /N/K", and an
 * application that fetches, or uploads, through a SOCKS proxy. Who gets the bytes compares every one.
 * Spec: none. Called by scenarios.
 * The bytes are a fixed function of their offset, so nobody keeps them.
 */
#ifndef TUNIC_TESTS_SIM_APPS_H
#define TUNIC_TESTS_SIM_APPS_H

#include "tests/sim/sim.h"

struct web;
struct web *web_new(void);
void web_free(struct web *);
struct machine web_machine(struct web *);

enum { FETCHER_MAX = 512 };

struct fetch_result {
  bool started, replied, done, failed;
  uint8_t socks_reply;
  uint64_t want, got;
  bool wrong_bytes, cut_short; /* cut short: a polite end before the last byte, after a good reply */
  instant began, first_byte, ended;
};

struct fetcher;
struct fetcher *fetcher_new(struct address proxy);
void fetcher_free(struct fetcher *);
struct machine fetcher_machine(struct fetcher *);
/* Begins a fetch of `bytes` from host:port with these SOCKS credentials (NULL: none); returns its index. `early`: the
 * request goes out right behind CONNECT. `limit`: stops reading after so many bytes (0: never). The caller pokes the host. */
uint32_t fetcher_begin(struct fetcher *, instant now, const char *user, const char *host, uint16_t port, uint64_t bytes, bool early, uint64_t limit);
/* An upload of so many bytes, which must come whole for `done` without `failed`. `stall`: the web server takes no more after so many
 * bytes (0: it takes all). */
uint32_t fetcher_upload(struct fetcher *, instant now, const char *user, const char *host, uint16_t port, uint64_t bytes, uint64_t stall);
/* One that stopped at its limit reads on. The caller pokes the host. */
void fetcher_release(struct fetcher *, uint32_t index);
uint32_t fetcher_count(const struct fetcher *);
const struct fetch_result *fetcher_result(const struct fetcher *, uint32_t index);
bool fetcher_all_done(const struct fetcher *);

uint8_t web_byte(uint64_t offset);

#endif
