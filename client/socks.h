/* The SOCKS server's side of one connection, until its request is answered: SOCKS5, SOCKS4 and SOCKS4a.
 * Spec: specs/socks.md [SOCKS-*]. Called by client_stream.c: bytes in, one request, one answer, bytes out.
 * Credentials never open or refuse anything: they only keep streams apart. What stands behind the request is left
 * to the caller. Never allocates, never keeps time, never connects.
 */
#ifndef TUNIC_CLIENT_SOCKS_H
#define TUNIC_CLIENT_SOCKS_H

#include "protocol/message.h"
#include "protocol/outcome.h"

enum {
  SOCKS_CREDENTIAL_MAX_BYTES = 255,
  SOCKS_IN_BYTES = 8 + 2 * (SOCKS_CREDENTIAL_MAX_BYTES + 1), /* the longest message: SOCKS4a's */
  SOCKS_OUT_BYTES = 32,
};

enum socks_state {
  SOCKS_READING, /* more bytes are needed */
  SOCKS_ASKED,   /* the request is complete: answer it */
  SOCKS_OVER,    /* answered or refused: send what there is, then close if it was no success */
};

/* User name and password as they came; empty where there were none. */
struct socks_credentials {
  bool given;
  uint8_t user_len, password_len;
  uint8_t user[SOCKS_CREDENTIAL_MAX_BYTES], password[SOCKS_CREDENTIAL_MAX_BYTES];
};

struct socks {
  uint8_t state, step, version;
  bool only_resolve;    /* the request: RESOLVE, not CONNECT */
  struct target target; /* of the request; an address that was written as a name is an address here */
  struct socks_credentials credentials;
  uint16_t in_len, out_len, out_sent;
  uint8_t in[SOCKS_IN_BYTES], out[SOCKS_OUT_BYTES];
  const char *text; /* sent behind `out`: to who does not speak SOCKS */
};

void socks_init(struct socks *);
/* Takes bytes up to the end of the request, and no further: *ret_used. What comes after a refusal is taken and
 * dropped. */
enum socks_state socks_receive(struct socks *, const uint8_t *in, size_t len, size_t *ret_used);
/* The one answer to SOCKS_ASKED: OUTCOME_OK or why not. `resolved` answers RESOLVE; else NULL. */
void socks_answer(struct socks *, enum outcome, const struct address *resolved);
size_t socks_transmit(struct socks *, uint8_t *out, size_t room);
bool socks_has_output(const struct socks *);

#endif
