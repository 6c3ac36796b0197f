#include "client/socks.h"

#include <string.h>

enum { VERSION_4 = 4, VERSION_5 = 5, CREDENTIALS_VERSION = 1 };
enum { METHOD_NONE = 0, METHOD_PASSWORD = 2, METHOD_REFUSED = 0xff };
enum { COMMAND_CONNECT = 1, COMMAND_RESOLVE = 0xf0 };
enum { KIND_IPV4 = 1, KIND_NAME = 3, KIND_IPV6 = 4 };
enum { REPLY_OK = 0, REPLY_NOT_ALLOWED = 2, REPLY_HOST_UNREACHABLE = 4, REPLY_COMMAND_UNKNOWN = 7, REPLY_KIND_UNKNOWN = 8 };
enum { REPLY_4_OK = 0x5a, REPLY_4_REFUSED = 0x5b };

enum step { STEP_FIRST_BYTE, STEP_METHODS, STEP_CREDENTIALS, STEP_REQUEST_5, STEP_REQUEST_4 };

/* [SOCKS-8] */
static const char HTTP_ANSWER[] =
    "HTTP/1.0 501 This is a SOCKS proxy\r\n"
    "Content-Type: text/plain\r\n"
    "Connection: close\r\n\r\n"
    "This port speaks SOCKS5, not HTTP. Set it as the program's SOCKS proxy, not as its HTTP proxy.\n";

void socks_init(struct socks *socks) {
  *socks = (struct socks){.state = SOCKS_READING, .step = STEP_FIRST_BYTE};
}

static void put_out(struct socks *socks, const uint8_t *bytes, size_t len) {
  memcpy(socks->out + socks->out_len, bytes, len);
  socks->out_len = (uint16_t)(socks->out_len + len);
}

/* ---- replies ---- */

/* [SOCKS-6] The bound address is of no use to anyone and would tell the exit's: it is all zero, but in the answer to RESOLVE. */
static void reply_5(struct socks *socks, uint8_t code, const struct address *resolved) {
  bool is_ipv6 = resolved != NULL && resolved->family == ADDRESS_IPV6;
  uint8_t reply[4 + 16 + 2] = {VERSION_5, code, 0, is_ipv6 ? KIND_IPV6 : KIND_IPV4};
  size_t size = is_ipv6 ? 16 : 4;
  if (resolved != NULL) memcpy(reply + 4, resolved->bytes, size);
  put_out(socks, reply, 4 + size + 2);
  socks->state = SOCKS_OVER;
}

static void reply_4(struct socks *socks, bool ok, const struct address *resolved) {
  bool fits = resolved == NULL || resolved->family == ADDRESS_IPV4;
  uint8_t reply[8] = {0, ok && fits ? REPLY_4_OK : REPLY_4_REFUSED};
  if (resolved != NULL && fits) memcpy(reply + 4, resolved->bytes, 4);
  put_out(socks, reply, sizeof reply);
  socks->state = SOCKS_OVER;
}

static void refuse(struct socks *socks, uint8_t code) {
  if (socks->version == VERSION_4) reply_4(socks, false, NULL);
  else reply_5(socks, code, NULL);
}

void socks_answer(struct socks *socks, enum outcome outcome, const struct address *resolved) {
  if (socks->state != SOCKS_ASKED) return;
  if (socks->version == VERSION_4) reply_4(socks, outcome == OUTCOME_OK, resolved);
  else reply_5(socks, outcome_socks_reply(outcome), resolved);
}

/* ---- targets ---- */

static void set_address(struct target *target, const uint8_t *bytes, bool is_ipv6) {
  target->kind = is_ipv6 ? TARGET_IPV6 : TARGET_IPV4;
  memcpy(target->address, bytes, is_ipv6 ? 16 : 4);
}

/* [SOCKS-5] False: no name that can be looked up. */
static bool set_name(struct target *target, const uint8_t *bytes, size_t len) {
  const char *name = (const char *)bytes;
  struct address address;
  if (len > 1 && name[len - 1] == '.') len--; /* the root's dot, which makes no name of an address */
  if (address_parse_host(name, len, &address)) {
    set_address(target, address.bytes, address.family == ADDRESS_IPV6);
    return true;
  }
  if (!host_name_is_valid(name, len)) return false;
  target->kind = TARGET_NAME;
  target->name_len = (uint8_t)len;
  memcpy(target->name, name, len);
  return true;
}

/* The request is read: [SOCKS-4] what may be asked. */
static void take_request(struct socks *socks, uint8_t command, bool has_target) {
  socks->only_resolve = command == COMMAND_RESOLVE;
  if (command != COMMAND_CONNECT && command != COMMAND_RESOLVE) refuse(socks, REPLY_COMMAND_UNKNOWN);
  else if (!has_target) refuse(socks, REPLY_HOST_UNREACHABLE);
  else if (command == COMMAND_CONNECT && socks->target.port == 0) refuse(socks, REPLY_NOT_ALLOWED);
  else socks->state = SOCKS_ASKED;
  if (socks->only_resolve) socks->target.port = 0;
}

/* ---- SOCKS5 ---- */

/* [SOCKS-2] The user's name is asked for whenever it may be: it keeps streams apart. */
static void take_methods(struct socks *socks) {
  const uint8_t *methods = socks->in + 2;
  size_t count = socks->in[1];
  uint8_t method = METHOD_REFUSED;
  if (memchr(methods, METHOD_PASSWORD, count) != NULL) method = METHOD_PASSWORD;
  else if (memchr(methods, METHOD_NONE, count) != NULL) method = METHOD_NONE;
  put_out(socks, (uint8_t[]){VERSION_5, method}, 2);
  socks->step = method == METHOD_PASSWORD ? STEP_CREDENTIALS : STEP_REQUEST_5;
  if (method == METHOD_REFUSED) socks->state = SOCKS_OVER;
}

/* [SOCKS-3] */
static void take_credentials(struct socks *socks) {
  struct socks_credentials *credentials = &socks->credentials;
  bool known = socks->in[0] == CREDENTIALS_VERSION;
  credentials->given = true;
  credentials->user_len = socks->in[1];
  memcpy(credentials->user, socks->in + 2, credentials->user_len);
  credentials->password_len = socks->in[2 + credentials->user_len];
  memcpy(credentials->password, socks->in + 3 + credentials->user_len, credentials->password_len);
  put_out(socks, (uint8_t[]){CREDENTIALS_VERSION, known ? 0 : 1}, 2);
  socks->step = STEP_REQUEST_5;
  if (!known) socks->state = SOCKS_OVER;
}

static size_t address_bytes_5(const struct socks *socks) {
  uint8_t kind = socks->in[3];
  if (kind == KIND_IPV4) return 4;
  if (kind == KIND_IPV6) return 16;
  return kind == KIND_NAME ? 1 + (size_t)socks->in[4] : 0;
}

static void take_request_5(struct socks *socks) {
  size_t size = address_bytes_5(socks);
  if (socks->in[0] != VERSION_5) {
    socks->state = SOCKS_OVER; /* not SOCKS after all: nothing it would understand */
    return;
  }
  if (size == 0) {
    refuse(socks, REPLY_KIND_UNKNOWN);
    return;
  }
  socks->target.port = get_u16(socks->in + 4 + size);
  bool good = true;
  if (socks->in[3] == KIND_NAME) good = set_name(&socks->target, socks->in + 5, size - 1);
  else set_address(&socks->target, socks->in + 4, size == 16);
  take_request(socks, socks->in[1], good);
}

/* ---- SOCKS4 and 4a ---- */

/* The text that begins at `at` and its end; false: the end has not come. */
static bool text_at(const struct socks *socks, size_t at, size_t *ret_end) {
  const uint8_t *end = memchr(socks->in + at, 0, socks->in_len - at);
  if (end == NULL) return false;
  *ret_end = (size_t)(end - socks->in);
  return true;
}

/* 0.0.0.x with x not 0: a name follows. */
static bool names_host_4(const struct socks *socks) {
  const uint8_t *address = socks->in + 4;
  return address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] != 0;
}

static void take_request_4(struct socks *socks) {
  size_t user_end = 8, name_end = 8;
  bool good = text_at(socks, 8, &user_end);
  socks->credentials.given = true;
  socks->credentials.user_len = (uint8_t)(user_end - 8);
  memcpy(socks->credentials.user, socks->in + 8, socks->credentials.user_len);
  socks->target.port = get_u16(socks->in + 2);
  if (!names_host_4(socks)) set_address(&socks->target, socks->in + 4, false);
  else good = good && text_at(socks, user_end + 1, &name_end) && set_name(&socks->target, socks->in + user_end + 1, name_end - user_end - 1);
  take_request(socks, socks->in[1], good);
}

/* ---- bytes ---- */

/* [SOCKS-1] One byte tells who speaks. */
static void take_first_byte(struct socks *socks) {
  socks->version = socks->in[0];
  if (socks->version == VERSION_5) {
    socks->step = STEP_METHODS;
  } else if (socks->version == VERSION_4) {
    socks->step = STEP_REQUEST_4;
  } else {
    socks->state = SOCKS_OVER;
    if (socks->version >= 'A' && socks->version <= 'Z') socks->text = HTTP_ANSWER;
  }
}

static size_t needed_4(const struct socks *socks) {
  size_t end;
  if (socks->in_len < 8) return 8;
  if (!text_at(socks, 8, &end)) return (size_t)socks->in_len + 1;
  if (end - 8 > SOCKS_CREDENTIAL_MAX_BYTES) return SIZE_MAX;
  if (names_host_4(socks) && !text_at(socks, end + 1, &end)) return (size_t)socks->in_len + 1;
  return socks->in_len;
}

/* How long the message that `in` begins is, as far as its bytes tell; SIZE_MAX: longer than any may be. */
static size_t needed(const struct socks *socks) {
  size_t len = socks->in_len;
  switch ((enum step)socks->step) {
  case STEP_FIRST_BYTE: return 1;
  case STEP_METHODS: return len < 2 ? 2 : 2 + (size_t)socks->in[1];
  case STEP_CREDENTIALS:
    if (len < 2) return 2;
    if (len < 3 + (size_t)socks->in[1]) return 3 + (size_t)socks->in[1];
    return 3 + (size_t)socks->in[1] + socks->in[2 + socks->in[1]];
  case STEP_REQUEST_5:
    if (len < 5) return 5;
    return address_bytes_5(socks) == 0 ? 5 : 4 + address_bytes_5(socks) + 2;
  case STEP_REQUEST_4: return needed_4(socks);
  }
  return SIZE_MAX;
}

static void take_message(struct socks *socks) {
  switch ((enum step)socks->step) {
  case STEP_FIRST_BYTE: take_first_byte(socks); return; /* it stays: the message that it begins is not over */
  case STEP_METHODS: take_methods(socks); break;
  case STEP_CREDENTIALS: take_credentials(socks); break;
  case STEP_REQUEST_5: take_request_5(socks); break;
  case STEP_REQUEST_4: take_request_4(socks); break;
  }
  socks->in_len = 0;
}

enum socks_state socks_receive(struct socks *socks, const uint8_t *in, size_t len, size_t *ret_used) {
  *ret_used = 0;
  while (socks->state == SOCKS_READING) {
    size_t whole = needed(socks);
    if (whole > SOCKS_IN_BYTES) {
      refuse(socks, REPLY_HOST_UNREACHABLE);
    } else if (socks->in_len == whole) {
      take_message(socks);
    } else if (*ret_used == len) {
      return SOCKS_READING;
    } else {
      size_t part = whole - socks->in_len;
      if (part > len - *ret_used) part = len - *ret_used;
      memcpy(socks->in + socks->in_len, in + *ret_used, part);
      socks->in_len = (uint16_t)(socks->in_len + part);
      *ret_used += part;
    }
  }
  if (socks->state == SOCKS_OVER) *ret_used = len;
  return (enum socks_state)socks->state;
}

bool socks_has_output(const struct socks *socks) {
  return socks->out_sent < socks->out_len || socks->text != NULL;
}

size_t socks_transmit(struct socks *socks, uint8_t *out, size_t room) {
  size_t len = (size_t)(socks->out_len - socks->out_sent);
  if (len > room) len = room;
  memcpy(out, socks->out + socks->out_sent, len);
  socks->out_sent = (uint16_t)(socks->out_sent + len);
  if (socks->out_sent < socks->out_len) return len;
  socks->out_len = socks->out_sent = 0;
  while (socks->text != NULL && len < room) {
    out[len++] = (uint8_t)*socks->text++;
    if (*socks->text == '\0') socks->text = NULL;
  }
  return len;
}
