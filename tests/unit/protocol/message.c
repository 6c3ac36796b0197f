#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "protocol/cell.h"
#include "protocol/limits.h"
#include "protocol/message.h"

enum { CONTENT = ONION_CONTENT(2) };

/* The rules once more, written down by hand: [MSG-2] and [MSG-3]. */
struct rule { uint8_t command; bool control; size_t least, greatest; const char *good; size_t good_len; };

#define BODY(text) text, sizeof text - 1
static const struct rule rules[] = {
    {1, false, 1282, 1282, NULL, 0},
    {2, false, 1152, 1152, NULL, 0},
    {3, false, 1, 1, BODY("\x0e")},
    {4, false, 0, CONTENT - 3, BODY("\0\0\0")},
    {16, false, 5, 259, BODY("\1\xbb\1\3a.b")},
    {17, false, 0, 0, BODY("")},
    {18, false, 1, CONTENT - 5, BODY("GET /")},
    {19, false, 0, 0, BODY("")},
    {20, false, 1, 1, BODY("\1")},
    {21, false, 8, 8, BODY("\0\0\0\0\0\1\0\0")},
    {22, false, 5, 259, BODY("\0\0\1\3a.b")},
    {23, false, 6, 137, BODY("\1\4\xc0\0\2\1")},
    {1, true, 22, 22, NULL, 0},
    {2, true, 43, 43, NULL, 0},
    {3, true, 7, 7, NULL, 0},
    {4, true, 6, 6, NULL, 0},
    {5, true, 3, CELL_BODY_BYTES - 3, BODY("\0\1x")},
    {6, true, 3, 3, BODY("\0\1\0")},
    {7, true, 8, 8, NULL, 0},
};
enum { RULES = sizeof rules / sizeof *rules };

static size_t content_len(bool control) { return control ? CELL_BODY_BYTES : CONTENT; }

static const struct rule *rule_of(uint8_t command, bool control) {
  for (size_t i = 0; i < RULES; i++)
    if (rules[i].command == command && rules[i].control == control) return &rules[i];
  return NULL;
}

/* A body of this length that the command's grammar allows, where there is one. */
static void write_body(const struct rule *rule, uint8_t *body, size_t len) {
  bool is_name = !rule->control && (rule->command == MESSAGE_BEGIN || rule->command == MESSAGE_RESOLVE);
  memset(body, !rule->control && rule->command == MESSAGE_PADDING ? 0 : 'x', len);
  if (rule->good != NULL && len == rule->good_len) {
    memcpy(body, rule->good, len);
  } else if (is_name && len >= 5 && len <= 259) {
    put_u16(body, rule->command == MESSAGE_BEGIN ? 80 : 0);
    body[2] = TARGET_NAME;
    body[3] = (uint8_t)(len - 4);
    for (size_t dot = 4 + 9; dot + 1 < len; dot += 10) body[dot] = '.';
  } else if (!rule->control && rule->command == MESSAGE_RESOLVED && len == 137) {
    body[0] = 8;
    for (int i = 0; i < 8; i++) body[1 + 17 * i] = 6;
  }
}

/* A content with one message and zeros, written byte by byte without the writer. Returns its body's offset. */
static size_t craft(uint8_t *content, bool control, uint8_t command, uint16_t stream, const struct rule *rule, size_t len) {
  size_t at = 3;
  memset(content, 0, content_len(control));
  content[0] = command;
  put_u16(content + 1, (uint16_t)len);
  if (!control && command >= 16) {
    put_u16(content + 3, stream);
    at = 5;
  }
  if (at + len <= content_len(control)) write_body(rule, content + at, len);
  return at;
}

/* How many messages a content has; -1: it is invalid. */
static int count_messages(const uint8_t *content, size_t len, bool control) {
  struct message_reader reader;
  struct message message;
  int count = 0;
  message_reader_init(&reader, content, len, control);
  while (message_read(&reader, &message)) count++;
  cr_assert_not(message_read(&reader, &message), "the end is the end");
  return message_reader_is_valid(&reader) ? count : -1;
}

/* The lengths around each bound; a few of all others. */
static bool is_telling(const struct rule *rule, bool control, size_t len) {
  size_t bounds[] = {0, content_len(control) - 4, rule != NULL ? rule->least : 0, rule != NULL ? rule->greatest : 0};
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
    if (len + 3 >= bounds[i] && len <= bounds[i] + 3) return true;
  return len % 101 == 0;
}

/* [MSG-2] [MSG-3] */
Test(message, each_command_has_its_lengths_and_no_other) {
  uint8_t content[CELL_BODY_BYTES];
  for (int control = 0; control < 2; control++) {
    for (unsigned command = 1; command < 256; command++) {
      const struct rule *rule = rule_of((uint8_t)command, control), none = {.command = (uint8_t)command, .control = control};
      for (size_t len = 0; len <= CELL_BODY_BYTES; len++) {
        if (!is_telling(rule, control, len)) continue;
        size_t header = !control && command >= 16 ? 5 : 3;
        craft(content, control, (uint8_t)command, 7, rule != NULL ? rule : &none, len);
        bool fits = header + len <= content_len(control);
        bool allowed = rule != NULL && fits && len >= rule->least && len <= rule->greatest;
        /* Addresses make only some lengths; their grammar has a test of its own. */
        if (allowed && !control && command == MESSAGE_RESOLVED && len != 6 && len != 137) continue;
        cr_assert_eq(count_messages(content, content_len(control), control), allowed ? 1 : -1, "control %d, command %u, len %zu",
                     control, command, len);
      }
    }
  }
}

/* [MSG-1] */
Test(message, what_a_writer_wrote_is_read_in_order) {
  uint8_t content[CONTENT];
  struct message_writer writer;
  struct message_reader reader;
  struct message message;
  memset(content, 0xee, sizeof content);
  message_writer_init(&writer, content, sizeof content, false);
  memcpy(message_add(&writer, MESSAGE_BEGIN, 0x0102, 6), "\0\x50\1\2a", 5);
  memcpy(writer.bytes + 5 + 4, "ab", 2);
  memcpy(message_add(&writer, MESSAGE_DATA, 0x0102, 4), "data", 4);
  cr_assert_not_null(message_add(&writer, MESSAGE_EOF, 0x0102, 0));
  memset(message_add(&writer, MESSAGE_PADDING, 0, 10), 0, 10);
  message_writer_finish(&writer);
  cr_assert_arr_eq(content, "\x10\0\6\1\2\0\x50\1\2ab\x12\0\4\1\2data\x13\0\0\1\2\4\0\x0a", 28);

  message_reader_init(&reader, content, sizeof content, false);
  cr_assert(message_read(&reader, &message));
  cr_assert(message.command == MESSAGE_BEGIN && message.stream == 0x0102 && message.len == 6 && message.body == content + 5);
  cr_assert(message_read(&reader, &message));
  cr_assert(message.command == MESSAGE_DATA && message.len == 4 && memcmp(message.body, "data", 4) == 0);
  cr_assert(message_read(&reader, &message));
  cr_assert(message.command == MESSAGE_EOF && message.stream == 0x0102 && message.len == 0);
  cr_assert(message_read(&reader, &message));
  cr_assert(message.command == MESSAGE_PADDING && message.stream == 0 && message.len == 10);
  cr_assert_not(message_read(&reader, &message));
  cr_assert(message_reader_is_valid(&reader));
}

/* [MSG-1] Fewer bytes than a header remain, or none: then nothing but zeros may. */
Test(message, a_content_may_be_used_up_to_its_last_byte) {
  uint8_t content[CONTENT];
  for (size_t left = 0; left <= 5; left++) {
    struct message_writer writer;
    message_writer_init(&writer, content, sizeof content, false);
    size_t room = message_room(&writer, MESSAGE_DATA);
    cr_assert_eq(room, CONTENT - 5);
    memset(message_add(&writer, MESSAGE_DATA, 1, room - left), 'd', room - left);
    cr_assert_eq(message_room(&writer, MESSAGE_DATA), 0);
    cr_assert_null(message_add(&writer, MESSAGE_DATA, 1, 1));
    message_writer_finish(&writer);
    cr_assert_eq(count_messages(content, sizeof content, false), 1);
    for (size_t at = sizeof content - left; at < sizeof content; at++) {
      content[at] = 0x13;
      cr_assert_eq(count_messages(content, sizeof content, false), -1);
      content[at] = 0;
    }
  }
}

/* [MSG-1] The rest of the message lies behind the content: a reader must not go there for it. */
Test(message, a_message_that_the_content_cuts_off_is_refused) {
  const struct { const char *bytes; size_t len; } second[] = {{BODY("\x12\0\2\0\1ab")}, {BODY("\x13\0\0\0\1")}, {BODY("\3\0\1\x0e")}};
  for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
    uint8_t bytes[64] = {MESSAGE_EOF, 0, 0, 0, 1};
    memcpy(bytes + 5, second[i].bytes, second[i].len);
    cr_assert_eq(count_messages(bytes, 5 + second[i].len, false), 2);
    for (size_t held = 1; held < second[i].len; held++) {
      struct message_reader reader;
      struct message message;
      message_reader_init(&reader, bytes, 5 + held, false);
      cr_assert(message_read(&reader, &message));
      cr_assert_not(message_read(&reader, &message), "message %zu, %zu bytes of it", i, held);
      cr_assert_not(message_reader_is_valid(&reader));
    }
  }
}

Test(message, a_message_without_a_body_fits_when_its_header_just_does) {
  uint8_t content[CONTENT];
  struct message_writer writer;
  message_writer_init(&writer, content, sizeof content, false);
  memset(message_add(&writer, MESSAGE_DATA, 1, CONTENT - 10), 'd', CONTENT - 10);
  cr_assert_not_null(message_add(&writer, MESSAGE_EOF, 1, 0));
  cr_assert_null(message_add(&writer, MESSAGE_EOF, 2, 0));
  message_writer_finish(&writer);
  cr_assert_eq(count_messages(content, sizeof content, false), 2);
}

Test(message, room_is_also_bounded_by_the_command) {
  uint8_t content[CONTENT];
  struct message_writer writer;
  message_writer_init(&writer, content, sizeof content, false);
  cr_assert_eq(message_room(&writer, MESSAGE_STREAM_CREDIT), 8);
  cr_assert_eq(message_room(&writer, MESSAGE_CONNECTED), 0);
  cr_assert_eq(message_room(&writer, MESSAGE_EXTEND), 1282);
  memset(message_add(&writer, MESSAGE_DATA, 1, 100), 'd', 100);
  cr_assert_eq(message_room(&writer, MESSAGE_EXTEND), CONTENT - 105 - 3);
}

/* [MSG-1] */
Test(message, nothing_hides_behind_the_end) {
  uint8_t content[CONTENT];
  craft(content, false, MESSAGE_DATA, 1, rule_of(MESSAGE_DATA, false), 10);
  cr_assert_eq(count_messages(content, sizeof content, false), 1);
  for (size_t at = 16; at < sizeof content; at++) {
    content[at] = 1;
    cr_assert_eq(count_messages(content, sizeof content, false), -1, "byte %zu", at);
    content[at] = 0;
  }
}

/* [MSG-4] */
Test(message, a_content_that_says_nothing_is_refused) {
  uint8_t content[CONTENT] = {0};
  cr_assert_eq(count_messages(content, sizeof content, false), -1);
  cr_assert_eq(count_messages(content, sizeof content, true), -1);
  cr_assert_eq(count_messages(content, 0, false), -1);
}

/* [MSG-1] */
Test(message, streams_have_numbers_and_zero_is_none) {
  uint8_t content[CONTENT];
  for (size_t i = 0; i < RULES; i++) {
    const struct rule *rule = &rules[i];
    if (rule->control || rule->command < 16 || rule->good == NULL) continue;
    craft(content, false, rule->command, 0, rule, rule->good_len);
    cr_assert_eq(count_messages(content, sizeof content, false), -1, "command %d", rule->command);
    craft(content, false, rule->command, 0xffff, rule, rule->good_len);
    cr_assert_eq(count_messages(content, sizeof content, false), 1, "command %d", rule->command);
  }
}

Test(message, a_fault_hides_what_comes_behind_it_and_is_remembered) {
  uint8_t content[CONTENT] = {0};
  struct message_reader reader;
  struct message message;
  memcpy(content, "\x13\0\0\0\1" "\x99\0\0" "\x13\0\0\0\2", 13);
  message_reader_init(&reader, content, sizeof content, false);
  cr_assert(message_read(&reader, &message));
  for (int i = 0; i < 3; i++) cr_assert_not(message_read(&reader, &message));
  cr_assert_not(message_reader_is_valid(&reader));
}

static bool is_readable(uint8_t command, const char *body, size_t len) {
  uint8_t content[CONTENT] = {0};
  size_t header = command >= 16 ? 5 : 3;
  content[0] = command;
  put_u16(content + 1, (uint16_t)len);
  if (command >= 16) content[4] = 1;
  memcpy(content + header, body, len);
  return count_messages(content, sizeof content, false) == 1;
}

/* [MSG-5] */
Test(message, begin_and_resolve_are_held_to_their_grammar) {
  const struct { const char *body; size_t len; bool begin, resolve; } cases[] = {
      {BODY("\0\x50\1\5a.b-c"), true, false},
      {BODY("\0\0\1\5a.b-c"), false, true},
      {BODY("\0\x50\4\xc0\0\2\1"), true, false},
      {BODY("\0\0\4\xc0\0\2\1"), false, false},
      {BODY("\0\x50\6\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), true, false},
      {BODY("\0\0\6\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), false, false},
      {BODY("\0\x50\4\xc0\0\2\1\0"), false, false},
      {BODY("\0\x50\4\xc0\0\2"), false, false},
      {BODY("\0\x50\6\xc0\0\2\1"), false, false},
      {BODY("\0\x50\0\xc0\0\2\1"), false, false},
      {BODY("\0\x50\5\xc0\0\2\1"), false, false},
      {BODY("\0\x50\1\4a.b-c"), false, false},
      {BODY("\0\x50\1\6a.b-c"), false, false},
      {BODY("\0\x50\1\0a"), false, false},
      {BODY("\0\x50\1\3a\0b"), false, false},
      {BODY("\0\x50\1\3a b"), false, false},
      {BODY("\0\x50\1\4a..b"), false, false},
      {BODY("\0\x50\1\0"), false, false},
      {BODY("\0\x50\1"), false, false},
      {BODY("\0\x50\1\x9" "127.0.0.1"), false, false}, /* an address has its own kind */
      {BODY("\0\0\1\x9" "127.0.0.1"), false, false},
      {BODY("\0\x50\1\xb" "127.0.0.1.a"), true, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cr_expect_eq(is_readable(MESSAGE_BEGIN, cases[i].body, cases[i].len), cases[i].begin, "BEGIN %zu", i);
    cr_expect_eq(is_readable(MESSAGE_RESOLVE, cases[i].body, cases[i].len), cases[i].resolve, "RESOLVE %zu", i);
  }
}

/* [MSG-6] */
Test(message, resolved_is_held_to_its_grammar) {
  char most[RESOLVED_MAX_BYTES + 18] = {8};
  for (int i = 0; i < 8; i++) most[1 + 17 * i] = 6;
  const struct { const char *body; size_t len; bool good; } cases[] = {
      {BODY("\1\4\xc0\0\2\1"), true},
      {BODY("\2\4\xc0\0\2\1\4\xc0\0\2\2"), true},
      {BODY("\2\4\xc0\0\2\1\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), true},
      {most, RESOLVED_MAX_BYTES, true},
      {most, RESOLVED_MAX_BYTES + 1, false},
      {BODY("\0"), false},
      {BODY("\0\4\xc0\0\2\1"), false},
      {BODY("\1\4\xc0\0\2\1\0"), false},
      {BODY("\1\4\xc0\0\2\1\4\xc0\0\2\2"), false},
      {BODY("\2\4\xc0\0\2\1"), false},
      {BODY("\2\4\xc0\0\2\1\4\xc0\0\2"), false},
      {BODY("\2\4\xc0\0\2\1\4"), false},
      {BODY("\1\6\xc0\0\2\1"), false},
      {BODY("\1\1\xc0\0\2\1"), false},
      {BODY("\x9\4\xc0\0\2\1"), false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_expect_eq(is_readable(MESSAGE_RESOLVED, cases[i].body, cases[i].len), cases[i].good, "case %zu", i);
}

Test(message, padding_carries_nothing) {
  cr_assert(is_readable(MESSAGE_PADDING, BODY("")));
  cr_assert(is_readable(MESSAGE_PADDING, BODY("\0\0\0\0")));
  cr_assert_not(is_readable(MESSAGE_PADDING, BODY("\0\0\0\1")));
  cr_assert_not(is_readable(MESSAGE_PADDING, BODY("\x80\0\0\0")));
}

/* [MSG-5] */
Test(message, a_target_survives_the_way) {
  const struct target targets[] = {
      {.kind = TARGET_NAME, .name_len = 11, .name = "example.com", .port = 443},
      {.kind = TARGET_NAME, .name_len = 1, .name = "a"},
      {.kind = TARGET_IPV4, .address = {192, 0, 2, 1}, .port = 65535},
      {.kind = TARGET_IPV6, .address = {0x20, 1, 0xd, 0xb8, [15] = 9}, .port = 1},
  };
  const size_t lengths[] = {15, 5, 7, 19};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    uint8_t bytes[TARGET_MAX_BYTES];
    struct target back;
    cr_assert_eq(target_encode(&targets[i], bytes), lengths[i]);
    cr_assert(target_decode(bytes, lengths[i], &back));
    cr_assert_eq(back.kind, targets[i].kind);
    cr_assert_eq(back.port, targets[i].port);
    cr_assert_eq(back.name_len, targets[i].name_len);
    cr_assert_str_eq(back.name, targets[i].name);
    cr_assert_arr_eq(back.address, targets[i].address, 16);
  }
}

Test(message, the_longest_name_fits_and_a_longer_one_does_not) {
  struct target target = {.kind = TARGET_NAME, .name_len = 255, .port = 80}, back;
  uint8_t bytes[TARGET_MAX_BYTES + 1];
  for (int i = 0; i < 255; i++) target.name[i] = i % 4 == 3 ? '.' : 'n';
  cr_assert_eq(target_encode(&target, bytes), TARGET_MAX_BYTES);
  cr_assert(target_decode(bytes, TARGET_MAX_BYTES, &back));
  cr_assert_str_eq(back.name, target.name);
  bytes[TARGET_MAX_BYTES] = 'n';
  cr_assert_not(target_decode(bytes, TARGET_MAX_BYTES + 1, &back));
}

/* [MSG-6] */
Test(message, resolved_addresses_survive_the_way_in_order) {
  const struct address addresses[] = {
      {.family = ADDRESS_IPV6, .bytes = {0x20, 1, [15] = 7}},
      {.family = ADDRESS_IPV4, .bytes = {192, 0, 2, 1}},
  };
  uint8_t bytes[RESOLVED_MAX_BYTES];
  struct address back[RESOLVED_ADDRESSES_MAX];
  size_t count, len = resolved_encode(addresses, 2, bytes);
  cr_assert_eq(len, 1 + 17 + 5);
  cr_assert(resolved_decode(bytes, len, back, &count));
  cr_assert_eq(count, 2);
  for (size_t i = 0; i < count; i++) cr_assert(address_equal(&back[i], &addresses[i]));
}

Test(message, integers_are_big_endian) {
  uint8_t bytes[8];
  put_u64(bytes, UINT64_C(0x0102030405060708));
  cr_assert_arr_eq(bytes, ((uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8}), 8);
  cr_assert_eq(get_u64(bytes), UINT64_C(0x0102030405060708));
  cr_assert_eq(get_u32(bytes), 0x01020304);
  cr_assert_eq(get_u16(bytes + 6), 0x0708);
}
