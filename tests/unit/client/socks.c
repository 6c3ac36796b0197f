#include "client/socks.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/seed.h"

/* A conversation: what the application sends, what it must hear, what the request then is. */
struct talk {
  const char *name;
  const char *in;
  size_t in_len;
  const char *out; /* before an answer */
  size_t out_len;
  enum socks_state state;
  bool only_resolve;
  uint8_t kind;
  const char *target; /* the name, or the address's bytes */
  uint16_t port;
};

#define BYTES(s) s, sizeof s - 1
#define NOTHING "", 0

static const struct talk talks[] = {
    {"5 by name", BYTES("\5\1\0\5\1\0\3\7foo.org\0\120"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_NAME, "foo.org", 80},
    {"5 by IPv4", BYTES("\5\1\0\5\1\0\1\1\2\3\4\1\273"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_IPV4, "\1\2\3\4", 443},
    {"5 by IPv6", BYTES("\5\1\0\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\1\273"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_IPV6, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 443},
    {"5 an address as a name", BYTES("\5\1\0\5\1\0\3\0071.2.3.4\0\120"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_IPV4, "\1\2\3\4", 80},
    {"5 IPv6 as a name", BYTES("\5\1\0\5\1\0\3\5[::1]\0\120"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_IPV6, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 80},
    {"5 the root's dot", BYTES("\5\1\0\5\1\0\3\4a.b.\0\120"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_NAME, "a.b", 80},
    {"5 the root's dot behind an address", BYTES("\5\1\0\5\1\0\3\11" "10.0.0.1.\0\120"), BYTES("\5\0"), SOCKS_ASKED, false, TARGET_IPV4, "\12\0\0\1", 80},
    {"5 with credentials", BYTES("\5\2\0\2\1\2me\3you\5\1\0\3\1x\0\120"), BYTES("\5\2\1\0"), SOCKS_ASKED, false, TARGET_NAME, "x", 80},
    {"5 with empty credentials", BYTES("\5\1\2\1\0\0\5\1\0\3\1x\0\120"), BYTES("\5\2\1\0"), SOCKS_ASKED, false, TARGET_NAME, "x", 80},
    {"5 lookup", BYTES("\5\1\0\5\360\0\3\1x\0\0"), BYTES("\5\0"), SOCKS_ASKED, true, TARGET_NAME, "x", 0},
    {"4 by address", BYTES("\4\1\0\120\1\2\3\4me\0"), NOTHING, SOCKS_ASKED, false, TARGET_IPV4, "\1\2\3\4", 80},
    {"4a by name", BYTES("\4\1\0\120\0\0\0\1me\0foo.org\0"), NOTHING, SOCKS_ASKED, false, TARGET_NAME, "foo.org", 80},
    {"4a without a user", BYTES("\4\1\0\120\0\0\0\1\0x\0"), NOTHING, SOCKS_ASKED, false, TARGET_NAME, "x", 80},
    {"5 no method", BYTES("\5\0"), BYTES("\5\377"), SOCKS_OVER, false, 0, "", 0},
    {"5 no known method", BYTES("\5\2\1\3"), BYTES("\5\377"), SOCKS_OVER, false, 0, "", 0},
    {"5 credentials of another version", BYTES("\5\1\2\2\0\0"), BYTES("\5\2\1\1"), SOCKS_OVER, false, 0, "", 0},
    {"5 bind", BYTES("\5\1\0\5\2\0\1\1\2\3\4\1\273"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"5 udp", BYTES("\5\1\0\5\3\0\1\1\2\3\4\1\273"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"5 unknown kind", BYTES("\5\1\0\5\1\0\2\1"), BYTES("\5\0\5\10\0\1\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"5 empty name", BYTES("\5\1\0\5\1\0\3\0\0\120"), BYTES("\5\0\5\4\0\1\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"5 odd name", BYTES("\5\1\0\5\1\0\3\3a b\0\120"), BYTES("\5\0\5\4\0\1\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"5 port 0", BYTES("\5\1\0\5\1\0\3\1x\0\0"), BYTES("\5\0\5\2\0\1\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"5 then 4", BYTES("\5\1\0\4\1\0\3\1x\0\120"), BYTES("\5\0"), SOCKS_OVER, false, 0, "", 0},
    {"4 bind", BYTES("\4\2\0\120\1\2\3\4\0"), BYTES("\0\133\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"4a odd name", BYTES("\4\1\0\120\0\0\0\1\0a b\0"), BYTES("\0\133\0\0\0\0\0\0"), SOCKS_OVER, false, 0, "", 0},
    {"neither", BYTES("\1"), NOTHING, SOCKS_OVER, false, 0, "", 0},
    {"tls", BYTES("\26\3\1"), NOTHING, SOCKS_OVER, false, 0, "", 0},
};

static void expect(const struct talk *talk, struct socks *socks, enum socks_state state) {
  uint8_t out[512];
  cr_assert_eq(state, talk->state, "%s", talk->name);
  size_t len = socks_transmit(socks, out, sizeof out);
  cr_assert_eq(len, talk->out_len, "%s: %zu bytes", talk->name, len);
  cr_assert(memcmp(out, talk->out, len) == 0, "%s", talk->name);
  if (state != SOCKS_ASKED) return;
  cr_assert_eq(socks->only_resolve, talk->only_resolve, "%s", talk->name);
  cr_assert_eq(socks->target.kind, talk->kind, "%s", talk->name);
  cr_assert_eq(socks->target.port, talk->port, "%s", talk->name);
  if (talk->kind == TARGET_NAME) cr_assert_str_eq(socks->target.name, talk->target, "%s", talk->name);
  else cr_assert(memcmp(socks->target.address, talk->target, talk->kind == TARGET_IPV4 ? 4 : 16) == 0, "%s", talk->name);
}

/* Every conversation, cut in two at every place, and fed byte by byte; with data behind it that is not touched. */
Test(socks, every_conversation_at_every_cut) {
  for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
    const struct talk *talk = &talks[i];
    const uint8_t *in = (const uint8_t *)talk->in;
    for (size_t cut = 0; cut <= talk->in_len; cut++) {
      struct socks socks;
      size_t used, rest;
      socks_init(&socks);
      enum socks_state state = socks_receive(&socks, in, cut, &used);
      cr_assert_eq(used, cut, "%s: all of it belongs to the request", talk->name);
      if (cut < talk->in_len && state != SOCKS_OVER) cr_assert_eq(state, SOCKS_READING, "%s at %zu", talk->name, cut);
      state = socks_receive(&socks, in + cut, talk->in_len - cut, &rest);
      expect(talk, &socks, state);
    }
  }
}

Test(socks, data_behind_the_request_is_left) {
  static const char in[] = "\5\1\0\5\1\0\3\1x\0\120GET /";
  struct socks socks;
  size_t used;
  socks_init(&socks);
  cr_assert_eq(socks_receive(&socks, (const uint8_t *)in, sizeof in - 1, &used), SOCKS_ASKED);
  cr_expect_eq(used, sizeof in - 1 - 5);
  cr_expect_eq(socks_receive(&socks, (const uint8_t *)in + used, 5, &used), SOCKS_ASKED);
  cr_expect_eq(used, 0, "and is left again");
}

Test(socks, credentials_are_kept_as_they_came) {
  static const char in[] = "\5\1\2\1\2me\3you\5\1\0\3\1x\0\120";
  struct socks socks;
  size_t used;
  socks_init(&socks);
  socks_receive(&socks, (const uint8_t *)in, sizeof in - 1, &used);
  cr_expect(socks.credentials.given);
  cr_expect_eq(socks.credentials.user_len, 2);
  cr_expect_arr_eq(socks.credentials.user, "me", 2);
  cr_expect_eq(socks.credentials.password_len, 3);
  cr_expect_arr_eq(socks.credentials.password, "you", 3);
}

static void ask(struct socks *socks, const char *request, size_t len) {
  size_t used;
  uint8_t out[64];
  socks_init(socks);
  cr_assert_eq(socks_receive(socks, (const uint8_t *)request, len, &used), SOCKS_ASKED);
  socks_transmit(socks, out, sizeof out);
}

static void expect_answer(struct socks *socks, enum outcome outcome, const struct address *resolved, const char *answer, size_t len) {
  uint8_t out[64];
  socks_answer(socks, outcome, resolved);
  socks_answer(socks, OUTCOME_NO_ROUTE, NULL); /* there is one answer */
  cr_assert_eq(socks_transmit(socks, out, sizeof out), len);
  cr_expect(memcmp(out, answer, len) == 0);
  cr_expect_not(socks_has_output(socks));
}

Test(socks, answers_in_the_version_that_asked) {
  const struct address ipv4 = {.family = ADDRESS_IPV4, .bytes = {9, 8, 7, 6}}, ipv6 = {.family = ADDRESS_IPV6, .bytes = {[15] = 1}};
  struct socks socks;
  ask(&socks, BYTES("\5\1\0\5\1\0\3\1x\0\120"));
  expect_answer(&socks, OUTCOME_OK, NULL, BYTES("\5\0\0\1\0\0\0\0\0\0"));
  ask(&socks, BYTES("\5\1\0\5\1\0\3\1x\0\120"));
  expect_answer(&socks, OUTCOME_CONNECTION_REFUSED, NULL, BYTES("\5\5\0\1\0\0\0\0\0\0"));
  ask(&socks, BYTES("\5\1\0\5\360\0\3\1x\0\0"));
  expect_answer(&socks, OUTCOME_OK, &ipv4, BYTES("\5\0\0\1\11\10\7\6\0\0"));
  ask(&socks, BYTES("\5\1\0\5\360\0\3\1x\0\0"));
  expect_answer(&socks, OUTCOME_OK, &ipv6, BYTES("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0"));
  ask(&socks, BYTES("\4\1\0\120\1\2\3\4\0"));
  expect_answer(&socks, OUTCOME_OK, NULL, BYTES("\0\132\0\0\0\0\0\0"));
  ask(&socks, BYTES("\4\1\0\120\1\2\3\4\0"));
  expect_answer(&socks, OUTCOME_NO_ROUTE, NULL, BYTES("\0\133\0\0\0\0\0\0"));
  ask(&socks, BYTES("\4\360\0\0\0\0\0\1\0x\0"));
  expect_answer(&socks, OUTCOME_OK, &ipv6, BYTES("\0\133\0\0\0\0\0\0"));
}

Test(socks, a_browser_set_to_http_reads_why) {
  static const char in[] = "CONNECT example.org:443 HTTP/1.1\r\n\r\n";
  struct socks socks;
  size_t used, len = 0;
  uint8_t out[1024];
  socks_init(&socks);
  cr_expect_eq(socks_receive(&socks, (const uint8_t *)in, sizeof in - 1, &used), SOCKS_OVER);
  cr_expect_eq(used, sizeof in - 1, "the rest is dropped");
  while (socks_has_output(&socks)) len += socks_transmit(&socks, out + len, 7);
  cr_expect(memcmp(out, "HTTP/1.0 501 ", 13) == 0);
  out[len] = 0;
  cr_expect(strstr((char *)out, "SOCKS5, not HTTP") != NULL);
}

Test(socks, endless_texts_are_refused) {
  uint8_t in[2000] = {4, 1, 0, 80, 1, 2, 3, 4};
  struct socks socks;
  size_t used;
  memset(in + 8, 'u', sizeof in - 8);
  socks_init(&socks);
  cr_expect_eq(socks_receive(&socks, in, sizeof in, &used), SOCKS_OVER, "a user without an end");
  in[4] = in[5] = in[6] = in[8] = 0;
  socks_init(&socks);
  cr_expect_eq(socks_receive(&socks, in, sizeof in, &used), SOCKS_OVER, "a name without an end");
}

Test(socks, any_bytes_end_in_one_of_three_states) {
  struct random_stream random = test_random("socks");
  for (int i = 0; i < 20000; i++) {
    uint8_t in[600], out[600];
    struct socks socks;
    size_t used, len = random_below(&random, sizeof in);
    random_bytes(&random, in, len);
    if (len > 0 && i % 4 != 0) in[0] = i % 2 ? 5 : 4;
    socks_init(&socks);
    enum socks_state state = socks_receive(&socks, in, len, &used);
    cr_assert_leq(used, len);
    if (state == SOCKS_ASKED && socks.target.kind == TARGET_NAME) cr_assert(host_name_is_valid(socks.target.name, socks.target.name_len));
    socks_answer(&socks, OUTCOME_OK, NULL);
    cr_assert_leq(socks_transmit(&socks, out, sizeof out), sizeof out);
  }
}
