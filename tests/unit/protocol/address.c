#include "protocol/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/seed.h"

static bool parses(const char *text, struct address *ret) {
  return address_parse(text, strlen(text), ret);
}

static bool parses_host(const char *text, struct address *ret) {
  return address_parse_host(text, strlen(text), ret);
}

/* A host that must parse. */
static struct address host(const char *text) {
  struct address address;
  cr_assert(parses_host(text, &address), "%s", text);
  return address;
}

Test(address, texts_become_their_canonical_form) {
  static const char *const FORMS[][2] = {
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"192.0.2.1", "192.0.2.1"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"[2001:db8::1]", "2001:db8::1"},
      {"2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one zero group is not shortened */
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},       /* the longest run */
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"}, /* the first of two alike */
      {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::FFFF:c000:0201", "::ffff:192.0.2.1"},
      {"::ffff:0.0.0.0", "::ffff:0.0.0.0"},
      {"::192.0.2.1", "::c000:201"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
    struct address address = host(FORMS[i][0]);
    char text[ADDRESS_TEXT_BYTES];
    address_format_host(&address, text);
    cr_assert_str_eq(text, FORMS[i][1]);
  }
}

Test(address, other_hosts_are_refused) {
  static const char *const BAD[] = {
      "",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.4.",
      ".1.2.3.4",
      "1..2.3",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.00",
      "0x1.2.3.4",
      "1.2.3.4 ",
      " 1.2.3.4",
      "+1.2.3.4",
      "1.2.3.-4",
      "4294967297.1.1.1",
      "[1.2.3.4]",
      "example.com",
      ":",
      ":::",
      "1:",
      ":1",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8:",
      ":1:2:3:4:5:6:7:8",
      "::1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7:8::",
      "1::2::3",
      "1:::2",
      "::12345",
      "::g",
      "fe80::1%eth0",
      "fe80::1%1",
      "::1.2.3",
      "::1.2.3.4.5",
      "::1.2.3.256",
      "::01.2.3.4",
      "1.2.3.4::",
      "::1.2.3.4:5",
      "1:2:3:4:5:6:7:1.2.3.4",
      "::1:2:3:4:5:6:1.2.3.4",
      "[::1",
      "::1]",
      "[]",
      "[",
      "]",
      "[[::1]]",
      "::1/64",
      "[::1]:80",
      "1.2.3.4:80",
      "none",
      "0000000000000000000000000000000000000000000000000000000000000001",
  };
  struct address address;
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
    cr_assert(!parses_host(BAD[i], &address), "%s", BAD[i]);
  cr_assert(!address_parse_host("1.2.3.4\0", 8, &address));
}

Test(address, ports_are_strict_and_come_back) {
  static const char *const GOOD[] = {"192.0.2.1:443",
                                     "192.0.2.1:0",
                                     "[2001:db8::1]:65535",
                                     "[::]:1",
                                     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                                     "[::ffff:255.255.255.255]:65535"};
  static const char *const BAD[] = {
      "",
      ":",
      "192.0.2.1",
      "192.0.2.1:",
      "192.0.2.1:65536",
      "192.0.2.1:00",
      "192.0.2.1:080",
      "192.0.2.1:+1",
      "192.0.2.1: 1",
      "192.0.2.1:1 ",
      "192.0.2.1:-1",
      "192.0.2.1:99999999999999999999",
      "[192.0.2.1]:1",
      ":443",
      "2001:db8::1:443",
      "[2001:db8::1]443",
      "[2001:db8::1]",
      "[2001:db8::1]:",
      "2001:db8::1]:1",
      "[2001:db8::1:1",
      "[]:1",
      "[:1",
      "]:1",
      "example.com:80",
      "192.0.2.1:1:1",
  };
  struct address address;
  char text[ADDRESS_TEXT_BYTES];
  for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
    cr_assert(parses(GOOD[i], &address), "%s", GOOD[i]);
    address_format(&address, text);
    cr_assert_str_eq(text, GOOD[i]);
  }
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) cr_assert(!parses(BAD[i], &address), "%s", BAD[i]);
}

/* An address with many zero groups, as people write them. */
static void draw_ipv6(struct random_stream *random, uint8_t ret[16]) {
  for (int i = 0; i < 16; i += 2) {
    uint64_t shape = random_below(random, 4);
    uint32_t group = shape < 2 ? 0 : (uint32_t)random_below(random, shape == 2 ? 16 : 65536);
    ret[i] = (uint8_t)(group >> 8), ret[i + 1] = (uint8_t)group;
  }
}

/* The system's own functions are a second opinion: on canonical texts, and on texts with small mistakes. */
Test(address, agrees_with_the_systems_functions) {
  struct random_stream random = test_random("address");
  uint32_t accepted = 0, refused = 0;
  for (int i = 0; i < 40000; i++) {
    struct address address = {.family = ADDRESS_IPV6}, back;
    uint8_t by_system[16];
    char text[ADDRESS_TEXT_BYTES], expected[ADDRESS_TEXT_BYTES];
    draw_ipv6(&random, address.bytes);
    address.bytes[0] |= 0x20; /* the system writes ::/96 in another form */
    address_format_host(&address, text);
    cr_assert(inet_ntop(AF_INET6, address.bytes, expected, sizeof expected));
    cr_assert_str_eq(text, expected);
    cr_assert(parses_host(text, &back) && address_equal(&address, &back));
    for (uint64_t n = random_below(&random, 3); n > 0; n--)
      text[random_below(&random, strlen(text))] =
          "0123456789abcdefABCDEF::::....g"[random_below(&random, 31)];
    bool right = inet_pton(AF_INET6, text, by_system) == 1;
    cr_assert(parses_host(text, &back) == right, "%s", text);
    if (right) cr_assert_arr_eq(back.bytes, by_system, 16);
    right ? accepted++ : refused++;
  }
  cr_assert(accepted > 5000 && refused > 5000, "%u and %u", accepted, refused);
}

static const char *const PRIVATE[] = {
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
    "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.8",
    "192.0.2.255", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255", "::",
    "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1", "64:ff9b::192.168.1.1", "64:ff9b:0:0:0:1:8.8.8.8", "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:ffff::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1ff:ffff::",
    "2001:2::1", "2001:10::1", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2002:7f00:1::1",
    "2002:a00:1::", "2002:c0a8:101::1", "3fff::1", "3fff:fff:ffff::1", "5f00::1", "fc00::1", "fdff:ffff::1",
    "fe80::1", "febf::1", "fec0::1", "feff::1", "ff00::", "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1fff::1", "4000::1",
};

static const char *const PUBLIC[] = {
    "1.0.0.0", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
    "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:200::1",
    "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::1", "2000::1", "2003::1", "2a00:1450::1",
    "3ffe::1", "3fff:1000::1",
};

Test(address, what_is_not_on_the_public_internet_is_private) {
  for (size_t i = 0; i < sizeof PRIVATE / sizeof PRIVATE[0]; i++) {
    struct address address = host(PRIVATE[i]);
    cr_assert(address_is_private(&address), "%s", PRIVATE[i]);
  }
  for (size_t i = 0; i < sizeof PUBLIC / sizeof PUBLIC[0]; i++) {
    struct address address = host(PUBLIC[i]);
    cr_assert(!address_is_private(&address), "%s", PUBLIC[i]);
  }
  cr_assert(address_is_private(&(struct address){0}));
}

Test(address, neighbourhoods_are_16_and_32_bits_wide) {
  static const struct {
    const char *a, *b;
    bool same;
  } PAIRS[] = {
      {"192.0.2.1", "192.0.255.9", true},
      {"192.0.2.1", "192.1.2.1", false},
      {"2001:db8::1", "2001:db8:f::", true},
      {"2001:db8::1", "2001:db9::1", false},
      {"0.0.0.0", "::", false},
      {"192.0.2.1", "::ffff:192.0.2.1", false},
  };
  for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
    struct address a = host(PAIRS[i].a), b = host(PAIRS[i].b);
    cr_assert(address_same_neighbourhood(&a, &b) == PAIRS[i].same, "%s %s", PAIRS[i].a, PAIRS[i].b);
    cr_assert(address_same_neighbourhood(&b, &a) == PAIRS[i].same);
  }
  cr_assert(!address_same_neighbourhood(&(struct address){0}, &(struct address){0}));
}

Test(address, equality_is_with_or_without_the_port) {
  struct address a, b;
  cr_assert(parses("192.0.2.1:1", &a) && parses("192.0.2.1:2", &b));
  cr_assert(address_host_equal(&a, &b) && !address_equal(&a, &b));
  b.port = 1;
  cr_assert(address_equal(&a, &b));
  b.bytes[3] = 2;
  cr_assert(!address_host_equal(&a, &b) && !address_equal(&a, &b));
  a = host("::"), b = host("0.0.0.0");
  cr_assert(!address_host_equal(&a, &b));
}

Test(host_name, only_names_that_may_be_looked_up_pass) {
  static const char *const GOOD[] = {
      "a", "localhost", "www.Example-1.com", "_dmarc.example.org", "1.2.3", "1.2.3.4.a", "xn--bcher-kva.example"};
  static const char *const BAD[] = {"",
                                    ".",
                                    ".a",
                                    "a.",
                                    "a..b",
                                    "a b",
                                    "a\n",
                                    "b\xc3\xbc"
                                    "cher",
                                    "a/b",
                                    "a:1",
                                    "a@b",
                                    "*",
                                    "a%",
                                    "a\x7f",
                                    "1.2.3.4"};
  char longest[257];
  for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
    cr_assert(host_name_is_valid(GOOD[i], strlen(GOOD[i])), "%s", GOOD[i]);
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
    cr_assert(!host_name_is_valid(BAD[i], strlen(BAD[i])), "%s", BAD[i]);
  cr_assert(!host_name_is_valid("a\0b", 3));
  for (size_t i = 0; i < sizeof longest; i++) longest[i] = i % 10 == 9 ? '.' : 'a';
  cr_assert(host_name_is_valid(longest, 255) && !host_name_is_valid(longest, 256));
  memset(longest, 'a', sizeof longest);
  longest[63] = '.';
  cr_expect(host_name_is_valid(longest, 63) && host_name_is_valid(longest, 64 + 63));
  cr_expect_not(host_name_is_valid(longest, 64 + 64), "no label is that long: nobody is asked");
}
