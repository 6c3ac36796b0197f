#include "directory/exit_policy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/seed.h"

static struct exit_policy policy_of(const char *const *rules) {
  struct exit_policy policy = {0};
  for (; *rules; rules++) cr_assert(exit_policy_add_rule(&policy, *rules, strlen(*rules)), "%s", *rules);
  return policy;
}
#define POLICY(...) policy_of((const char *const[]){__VA_ARGS__, NULL})

static bool connects(const struct exit_policy *policy, const char *where) {
  struct address address;
  cr_assert(address_parse(where, strlen(where), &address), "%s", where);
  return exit_policy_may_connect(policy, &address);
}

/* [POLICY-2] */
Test(exit_policy, one_way_to_write_a_rule) {
  static const char *const GOOD[] = {
      "accept *:*", "reject *:25", "accept private:80-443", "accept 10.0.0.0/8:*", "accept 1.2.3.4/32:1", "reject 0.0.0.0/0:65535",
      "accept [2001:db8::]/32:80", "accept [::]/0:*", "accept [::1]/128:1-2"};
  static const char *const BAD[] = {
      "", "accept", "accept *", "accept :", "accept *:", "accept :80", "allow *:80", "Accept *:80", "accept  *:80", "accept *:80 ",
      "accept *:0", "accept *:65536", "accept *:080", "accept *:80-80", "accept *:81-80", "accept *:1-65535", "accept *:80-", "accept *:-80",
      "accept *:80-90-100", "accept *:80,443", "accept public:80", "accept 1.2.3.4:80", "accept 1.2.3.4/33:80", "accept 1.2.3.4/31:80x",
      "accept 1.2.3.5/31:80", "accept 1.2.3.0/08:80", "accept 01.2.3.0/24:80", "accept 1.2.3/24:80", "accept [1.2.3.0]/24:80",
      "accept 2001:db8::/32:80", "accept [2001:db8::/32]:80", "accept [2001:0db8::]/32:80", "accept [2001:db8::]/129:80",
      "accept [2001:db8::1]/127:80", "accept []/0:80", "accept [/0:80", "accept example.org/8:80", "accept */0:80"};
  for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
    struct exit_policy policy = POLICY(GOOD[i]);
    char line[128], expected[128];
    struct text_writer writer;
    text_writer_init(&writer, line, sizeof line);
    exit_policy_write(&writer, &policy);
    snprintf(expected, sizeof expected, "exit-policy %s\n", GOOD[i]);
    cr_assert(text_written(&writer) == strlen(expected) && memcmp(line, expected, strlen(expected)) == 0, "%s", GOOD[i]);
  }
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
    struct exit_policy policy = {0};
    cr_assert(!exit_policy_add_rule(&policy, BAD[i], strlen(BAD[i])), "%s", BAD[i]);
    cr_assert_eq(policy.rule_count, 0);
  }
}

Test(exit_policy, sixty_four_rules) {
  struct exit_policy policy = {0};
  for (uint32_t i = 0; i < EXIT_POLICY_RULES_MAX; i++) cr_assert(exit_policy_add_rule(&policy, "accept *:80", 11));
  cr_assert(!exit_policy_add_rule(&policy, "accept *:80", 11));
}

/* [POLICY-4] */
Test(exit_policy, first_match_decides) {
  struct exit_policy policy = POLICY("reject 8.8.0.0/16:*", "accept 8.0.0.0/8:53", "accept *:80-90", "reject *:85", "accept [2600::]/16:1");
  cr_assert(!connects(&policy, "8.8.8.8:53"));
  cr_assert(connects(&policy, "8.9.8.8:53"));
  cr_assert(!connects(&policy, "9.9.9.9:53"));
  cr_assert(connects(&policy, "9.9.9.9:80"));
  cr_assert(connects(&policy, "9.9.9.9:85"), "an earlier rule accepts it");
  cr_assert(connects(&policy, "9.9.9.9:90"));
  cr_assert(!connects(&policy, "9.9.9.9:91"), "what nothing matches is rejected");
  cr_assert(connects(&policy, "[2600::1]:1"));
  cr_assert(!connects(&policy, "[2601::1]:1"));
  cr_assert(connects(&policy, "[2601::1]:80"));
  struct exit_policy none = {0};
  cr_assert(!connects(&none, "9.9.9.9:80"));
}

/* [POLICY-3] */
Test(exit_policy, star_never_means_private) {
  static const char *const PRIVATE[] = {"127.0.0.1:80", "10.1.2.3:80", "192.168.0.1:80", "169.254.1.1:80", "0.0.0.0:80", "[::1]:80",
                                        "[fe80::1]:80", "[fc00::1]:80", "[::ffff:127.0.0.1]:80", "[64:ff9b::a01:203]:80"};
  struct exit_policy star = POLICY("accept *:*", "accept 0.0.0.0/0:*", "accept [::]/0:*"), named = POLICY("accept private:80");
  struct exit_policy one = POLICY("accept 10.0.0.0/8:*"), rejected = POLICY("reject *:*", "accept private:*");
  for (size_t i = 0; i < sizeof PRIVATE / sizeof PRIVATE[0]; i++) {
    cr_assert(!connects(&star, PRIVATE[i]), "%s", PRIVATE[i]);
    cr_assert(connects(&named, PRIVATE[i]), "%s", PRIVATE[i]);
    cr_assert(connects(&rejected, PRIVATE[i]), "%s", PRIVATE[i]);
  }
  cr_assert(!connects(&named, "9.9.9.9:80"));
  cr_assert(connects(&one, "10.1.2.3:80"));
  cr_assert(!connects(&one, "192.168.0.1:80"));
}

/* A rule for IPv4 can't be walked around in IPv6. */
Test(exit_policy, ipv4_within_ipv6) {
  struct exit_policy policy = POLICY("reject 9.9.9.0/24:*", "accept *:*");
  cr_assert(!connects(&policy, "9.9.9.9:80"));
  cr_assert(!connects(&policy, "[::ffff:9.9.9.9]:80"));
  cr_assert(!connects(&policy, "[64:ff9b::909:909]:80"));
  cr_assert(connects(&policy, "[::ffff:9.9.8.9]:80"));
}

static void check_summary(const struct exit_policy *policy, const char *expected) {
  struct exit_summary summary, again;
  struct text_writer writer;
  struct text_reader reader;
  char line[512] = "exit";
  bool exits = exit_policy_summarise(policy, &summary);
  cr_assert_eq(exits, expected != NULL);
  if (!exits) return;
  text_writer_init(&writer, line, sizeof line - 1);
  writer.len = 4;
  exit_summary_write(&writer, &summary);
  line[writer.len] = 0;
  cr_assert_str_eq(line + 5, expected);
  text_write_end(&writer);
  text_reader_init(&reader, (uint8_t *)line, writer.len);
  text_read_line(&reader, "exit");
  exit_summary_read(&reader, &again);
  cr_assert(text_is_complete(&reader), "%s", expected);
  cr_assert(memcmp(&again, &summary, sizeof again) == 0);
}

/* [POLICY-5], [POLICY-6] */
Test(exit_policy, summaries) {
  static const struct { const char *rules[5]; const char *summary; } TABLE[] = {
      {{"accept *:*"}, "1-65535"},
      {{"reject *:25", "accept *:*"}, "1-24,26-65535"},
      {{"accept *:80", "accept *:81", "accept *:443"}, "80-81,443"},
      {{"accept 0.0.0.0/0:80"}, "80"},
      {{"accept 9.9.9.9/32:80"}, NULL},
      {{"reject 9.9.9.9/32:80", "accept *:80"}, "80"},
      {{"reject 9.0.0.0/8:80", "accept *:80"}, NULL},
      {{"accept [::]/0:80"}, NULL},
      {{"accept private:*"}, "none private"},
      {{"accept private:1-1023", "accept private:1024-65535", "accept *:80"}, "80 private"},
      {{"accept private:1-1023", "accept *:80"}, "80"},
      {{"reject private:25", "accept private:*"}, NULL},
      {{"reject 10.0.0.0/8:25", "accept private:*"}, NULL},
      {{"reject *:*", "accept *:80"}, NULL},
      {{"accept *:1", "accept *:65535"}, "1,65535"},
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct exit_policy policy = policy_of(TABLE[i].rules);
    check_summary(&policy, TABLE[i].summary);
  }
  /* 64 ports apart are more than a summary holds: the lowest stay. */
  struct exit_policy many = {0};
  struct exit_summary summary;
  for (int i = 0; i < EXIT_POLICY_RULES_MAX; i++) {
    char rule[32];
    snprintf(rule, sizeof rule, "accept *:%d", 1 + 2 * i);
    cr_assert(exit_policy_add_rule(&many, rule, strlen(rule)));
  }
  cr_assert(exit_policy_summarise(&many, &summary));
  cr_assert_eq(summary.range_count, EXIT_SUMMARY_RANGES_MAX);
  cr_assert_eq(summary.ranges[EXIT_SUMMARY_RANGES_MAX - 1].high, 63);
}

/* A summary of rules for `*` alone says what the rules say, port by port. */
Test(exit_policy, summary_agrees_with_the_rules) {
  struct random_stream random = test_random("exit policy");
  for (int round = 0; round < 200; round++) {
    struct exit_policy policy = {0};
    struct exit_summary summary;
    struct address address = {.family = ADDRESS_IPV4, .bytes = {9, 9, 9, 9}};
    uint64_t rules = random_below(&random, 12);
    for (uint64_t i = 0; i < rules; i++) {
      char rule[64];
      uint64_t low = random_between(&random, 1, 300), high = random_between(&random, low + 1, 301);
      snprintf(rule, sizeof rule, "%s *:%u-%u", random_below(&random, 2) ? "accept" : "reject", (unsigned)low, (unsigned)high);
      cr_assert(exit_policy_add_rule(&policy, rule, strlen(rule)));
    }
    exit_policy_summarise(&policy, &summary);
    for (uint32_t port = 0; port <= 310; port++) {
      address.port = (uint16_t)port;
      cr_assert_eq(exit_summary_may_connect(&summary, address.port, false), exit_policy_may_connect(&policy, &address), "port %u", (unsigned)port);
    }
  }
}

Test(exit_policy, summary_answers) {
  struct exit_policy policy = POLICY("accept *:80-90", "accept private:*");
  struct exit_summary summary;
  cr_assert(exit_policy_summarise(&policy, &summary));
  cr_assert(exit_summary_may_connect(&summary, 80, false));
  cr_assert(!exit_summary_may_connect(&summary, 91, false));
  cr_assert(exit_summary_may_connect(&summary, 91, true));
  cr_assert(!exit_summary_may_connect(&summary, 0, true));
  cr_assert(!exit_summary_may_connect(NULL, 80, false));
}
