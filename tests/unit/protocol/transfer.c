/* Documents over a link: two ends joined by CONTROL cells, then one end and a hostile peer. */
#include "protocol/transfer.h"

#include <criterion/criterion.h>
#include <string.h>

#include "failing_allocator.h"
#include "protocol/limits.h"
#include "tests/unit/seed.h"

enum { ANY_CAP = 1 << 24, T = TRANSFER_PEERS_BIT };

static const struct transfer_request consensus = {.kind = TRANSFER_CONSENSUS, .epoch = 7};

/* ---- Two ends ---- */

/* One content of `len` bytes from one end to the other; true if it said anything. */
static bool carry(struct transfers *from, struct transfers *to, size_t len) {
  uint8_t body[CELL_BODY_BYTES];
  struct message_writer writer;
  message_writer_init(&writer, body, len, true);
  transfers_write(from, &writer);
  if (writer.at == 0) return false;
  message_writer_finish(&writer);
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, body, len, true);
  while (message_read(&reader, &message)) cr_assert_eq(transfers_message(to, &message), OUTCOME_OK);
  cr_assert(message_reader_is_valid(&reader));
  return true;
}

static uint32_t carry_all(struct transfers *a, struct transfers *b) {
  uint32_t cells = 0;
  for (bool moved = true; moved;) {
    moved = false;
    if (transfers_has_output(a)) moved |= carry(a, b, CELL_BODY_BYTES), cells++;
    if (transfers_has_output(b)) moved |= carry(b, a, CELL_BODY_BYTES), cells++;
  }
  return cells;
}

static struct document *make_document(size_t len, uint32_t start) {
  static uint8_t bytes[1 << 21];
  cr_assert_leq(len, sizeof bytes);
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)((start + i) * 2654435761U >> 24);
  return document_new(bytes, len);
}

static void expect_same(const struct document *a, const struct document *b) {
  cr_assert_eq(document_len(a), document_len(b));
  cr_assert_arr_eq(document_bytes(a), document_bytes(b), document_len(a));
}

static struct transfer_event expect_event(struct transfers *t, enum transfer_event_kind kind) {
  struct transfer_event event;
  cr_assert(transfers_next_event(t, &event));
  cr_assert_eq(event.kind, kind);
  return event;
}

static void expect_no_event(struct transfers *t) {
  struct transfer_event event;
  cr_assert_not(transfers_next_event(t, &event));
}

Test(transfer, what_is_asked_for_arrives_whole) {
  const size_t lengths[] = {1,     2,      CELL_BODY_BYTES - 14, CELL_BODY_BYTES - 5, CELL_BODY_BYTES, 65536,
                            65537, 1000000};
  struct transfers *asks = transfers_new(true, 0), *has = transfers_new(true, 0);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    struct document *document = make_document(lengths[i], (uint32_t)i);
    struct transfer_request about = {.kind = TRANSFER_VOTE, .hash = {1, 2, 3, [31] = 9}};
    uint16_t mine = transfers_get(asks, &about, lengths[i]);
    cr_assert(mine != 0 && (mine & T) == 0);
    carry_all(asks, has);
    struct transfer_event asked = expect_event(has, TRANSFER_ASKED);
    cr_assert_eq(asked.request, mine | T);
    cr_assert_eq(asked.about.kind, TRANSFER_VOTE);
    cr_assert_eq(asked.about.epoch, about.epoch);
    cr_assert_arr_eq(asked.about.hash, about.hash, 32);
    transfers_answer(has, asked.request, document);
    carry_all(asks, has);
    struct transfer_event arrived = expect_event(asks, TRANSFER_ARRIVED);
    cr_assert_eq(arrived.request, mine);
    cr_assert_eq(arrived.about.kind, TRANSFER_VOTE);
    expect_same(arrived.document, document);
    cr_assert_eq(transfers_pending(asks), 0);
    document_release(arrived.document);
    document_release(document);
  }
  expect_no_event(asks);
  expect_no_event(has);
  transfers_free(asks);
  transfers_free(has);
}

Test(transfer, what_is_handed_in_arrives_and_its_fate_comes_back) {
  const enum outcome fates[] = {OUTCOME_OK, OUTCOME_BAD_DOCUMENT};
  struct transfers *gives = transfers_new(false, 0), *takes = transfers_new(false, 20000);
  struct document *document = make_document(20000, 3);
  for (size_t i = 0; i < 2; i++) {
    uint16_t mine = transfers_put(gives, TRANSFER_DESCRIPTOR, document);
    carry_all(gives, takes);
    struct transfer_event given = expect_event(takes, TRANSFER_GIVEN);
    cr_assert_eq(given.request, mine | T);
    cr_assert_eq(given.about.kind, TRANSFER_DESCRIPTOR);
    expect_same(given.document, document);
    document_release(given.document);
    expect_no_event(gives);
    transfers_finish(takes, given.request, fates[i]);
    carry_all(gives, takes);
    struct transfer_event ended = expect_event(gives, TRANSFER_ENDED);
    cr_assert_eq(ended.request, mine);
    cr_assert_eq(ended.outcome, fates[i]);
  }
  document_release(document);
  transfers_free(gives);
  transfers_free(takes);
}

Test(transfer, refusals_have_a_name_and_cost_no_chunk) {
  const struct {
    bool put, may_ask;
    size_t put_max;
    enum outcome outcome;
  } cases[] = {
      {false, false, 0, OUTCOME_NOT_ALLOWED_HERE},
      {false, true, 0, OUTCOME_STALE}, /* the owner's */
      {true, true, 0, OUTCOME_NOT_ALLOWED_HERE},
      {true, true, 29999, OUTCOME_TOO_LARGE},
  };
  struct document *document = make_document(30000, 1);
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct transfers *asks = transfers_new(false, 0),
                     *refuses = transfers_new(cases[c].may_ask, cases[c].put_max);
    uint16_t mine = cases[c].put ? transfers_put(asks, TRANSFER_DESCRIPTOR, document)
                                 : transfers_get(asks, &consensus, ANY_CAP);
    uint32_t cells = carry_all(asks, refuses);
    struct transfer_event event;
    while (transfers_next_event(refuses, &event)) transfers_finish(refuses, event.request, OUTCOME_STALE);
    cells += carry_all(asks, refuses);
    cr_assert_eq(cells, 2);
    struct transfer_event ended = expect_event(asks, TRANSFER_ENDED);
    cr_assert_eq(ended.request, mine);
    cr_assert_eq(ended.outcome, cases[c].outcome);
    cr_assert_eq(transfers_pending(asks), 0);
    transfers_free(asks);
    transfers_free(refuses);
  }
  document_release(document);
}

Test(transfer, many_at_a_time_both_ways_in_cells_of_any_room) {
  struct random_stream random = test_random("transfer");
  struct transfers *ends[2] = {transfers_new(true, ANY_CAP), transfers_new(true, ANY_CAP)};
  struct document *document = make_document(5000, 11);
  uint32_t arrived = 0, given = 0, accepted = 0;
  for (uint32_t turn = 0; turn < 4000; turn++) {
    struct transfers *t = ends[turn % 2], *other = ends[1 - turn % 2];
    if (turn < 2000) {
      if (random_below(&random, 3) == 0) transfers_get(t, &consensus, ANY_CAP);
      if (random_below(&random, 3) == 0) transfers_put(t, TRANSFER_AGREEMENT, document);
    }
    if (transfers_has_output(t)) carry(t, other, 46 + (size_t)random_below(&random, CELL_BODY_BYTES - 45));
    struct transfer_event event;
    while (transfers_next_event(other, &event)) {
      if (event.kind == TRANSFER_ASKED) transfers_answer(other, event.request, document);
      if (event.kind == TRANSFER_GIVEN) transfers_finish(other, event.request, OUTCOME_OK), given++;
      if (event.kind == TRANSFER_ARRIVED) arrived++;
      if (event.kind == TRANSFER_ENDED) {
        cr_assert_eq(event.outcome, OUTCOME_OK);
        accepted++;
      }
      if (event.document != NULL) expect_same(event.document, document);
      document_release(event.document);
    }
  }
  carry_all(ends[0], ends[1]);
  cr_assert_gt(arrived, 20);
  cr_assert_gt(given, 20);
  cr_assert_leq(given - accepted, 2 * LIMIT_TRANSFERS_PER_LINK);
  document_release(document);
  transfers_free(ends[0]);
  transfers_free(ends[1]);
}

Test(transfer, a_small_document_does_not_wait_behind_large_ones) {
  struct transfers *asks = transfers_new(true, 0), *has = transfers_new(true, 0);
  struct document *large = make_document(1000000, 1), *small = make_document(3000, 2);
  for (int i = 0; i < 4; i++) transfers_get(asks, &consensus, ANY_CAP);
  carry(asks, has, CELL_BODY_BYTES);
  for (int i = 0; i < 4; i++) {
    struct transfer_event event = expect_event(has, TRANSFER_ASKED);
    transfers_answer(has, event.request, i == 3 ? small : large);
  }
  uint32_t cells = 0;
  struct transfer_event event;
  while (!transfers_next_event(asks, &event)) {
    carry(has, asks, CELL_BODY_BYTES);
    cells++;
    cr_assert_lt(cells, 100);
  }
  cr_assert_leq(cells, 4 * 3); /* its three chunks, one in each turn of four */
  expect_same(event.document, small);
  document_release(event.document);
  document_release(large);
  document_release(small);
  transfers_free(asks);
  transfers_free(has);
}

Test(transfer, no_more_than_the_limit_are_under_way) {
  struct transfers *asks = transfers_new(true, 0), *has = transfers_new(true, 0);
  for (int i = 0; i < LIMIT_TRANSFERS_PER_LINK; i++) cr_assert_neq(transfers_get(asks, &consensus, 1), 0);
  cr_assert_eq(transfers_get(asks, &consensus, 1), 0);
  cr_assert_eq(transfers_pending(asks), LIMIT_TRANSFERS_PER_LINK);
  carry_all(asks, has);
  struct transfer_event event = expect_event(has, TRANSFER_ASKED);
  transfers_finish(has, event.request, OUTCOME_NOT_FOUND);
  carry_all(asks, has);
  cr_assert_eq(transfers_get(asks, &consensus, 1), 0); /* its event was not taken yet */
  event = expect_event(asks, TRANSFER_ENDED);
  cr_assert_eq(event.outcome, OUTCOME_NOT_FOUND);
  cr_assert_neq(transfers_get(asks, &consensus, 1), 0);
  carry_all(asks, has);
  transfers_free(asks);
  transfers_free(has);
}

Test(transfer, numbers_go_around_without_meeting_one_under_way) {
  struct transfers *asks = transfers_new(true, 0), *has = transfers_new(true, 0);
  uint16_t first = transfers_get(asks, &consensus, 1); /* stays under way all the time */
  carry_all(asks, has);
  expect_event(has, TRANSFER_ASKED);
  for (uint32_t i = 0; i < TRANSFER_REQUEST_MAX + 5; i++) {
    uint16_t mine = transfers_get(asks, &consensus, 1);
    cr_assert(mine >= 1 && mine <= TRANSFER_REQUEST_MAX && mine != first);
    carry(asks, has, 64);
    transfers_finish(has, expect_event(has, TRANSFER_ASKED).request, OUTCOME_STALE);
    carry(has, asks, 64);
    cr_assert_eq(expect_event(asks, TRANSFER_ENDED).request, mine);
  }
  transfers_free(asks);
  transfers_free(has);
}

/* ---- One end and a hostile peer ---- */

static enum outcome tell(struct transfers *t, uint8_t command, const uint8_t *body, size_t len) {
  struct message message = {.command = command, .body = body, .len = (uint16_t)len};
  return transfers_message(t, &message);
}

static enum outcome tell_get(struct transfers *t, uint16_t request, uint8_t kind) {
  uint8_t body[43] = {(uint8_t)(request >> 8), (uint8_t)request, kind};
  return tell(t, CONTROL_GET, body, sizeof body);
}
static enum outcome tell_put(struct transfers *t, uint16_t request, uint8_t kind, uint32_t length) {
  uint8_t body[7] = {(uint8_t)(request >> 8), (uint8_t)request, kind};
  put_u32(body + 3, length);
  return tell(t, CONTROL_PUT, body, sizeof body);
}
static enum outcome tell_head(struct transfers *t, uint16_t request, uint32_t length) {
  uint8_t body[6] = {(uint8_t)(request >> 8), (uint8_t)request};
  put_u32(body + 2, length);
  return tell(t, CONTROL_HEAD, body, sizeof body);
}
static enum outcome tell_chunk(struct transfers *t, uint16_t request, size_t len) {
  uint8_t body[64] = {(uint8_t)(request >> 8), (uint8_t)request};
  return tell(t, CONTROL_CHUNK, body, 2 + len);
}
static enum outcome tell_done(struct transfers *t, uint16_t request, uint8_t code) {
  return tell(t, CONTROL_DONE, (const uint8_t[]){(uint8_t)(request >> 8), (uint8_t)request, code}, 3);
}

static void write_cell(struct transfers *t) {
  uint8_t body[CELL_BODY_BYTES];
  struct message_writer writer;
  message_writer_init(&writer, body, sizeof body, true);
  transfers_write(t, &writer);
}

#define STATES(X)                                                                                            \
  X(NOTHING)                                                                                                 \
  X(OUR_GET_UNSAID) X(OUR_GET_ASKED) X(OUR_GET_RECEIVING) X(OUR_GET_ALL) X(OUR_GET_ENDED) X(OUR_PUT_UNSAID)  \
      X(OUR_PUT_ASKED) X(OUR_PUT_SENDING) X(OUR_PUT_ALL) X(THEIR_GET_WAITS) X(THEIR_GET_SENDING)             \
          X(THEIR_GET_REFUSED) X(THEIR_PUT_BEGUN) X(THEIR_PUT_RECEIVING) X(THEIR_PUT_WAITS)                  \
              X(THEIR_PUT_REFUSED)
enum state {
#define X(name) name,
  STATES(X)
#undef X
};
static const char *const state_names[] = {
#define X(name) #name,
    STATES(X)
#undef X
};
enum { STATE_COUNT = sizeof state_names / sizeof *state_names, PUT_MAX = 100 };

/* An end with request 1 of ours, or theirs, in that state. Documents have 10 bytes, but for one under way:
 * 5,000. */
static struct transfers *reach(enum state state) {
  struct transfers *t = transfers_new(true, PUT_MAX);
  struct document *small = make_document(10, 0), *large = make_document(5000, 0);
  if (state >= OUR_GET_UNSAID && state <= OUR_GET_ENDED) transfers_get(t, &consensus, 10);
  if (state >= OUR_PUT_UNSAID && state <= OUR_PUT_ALL)
    transfers_put(t, TRANSFER_DESCRIPTOR, state == OUR_PUT_SENDING ? large : small);
  if (state != OUR_GET_UNSAID && state != OUR_PUT_UNSAID) write_cell(t);
  if (state >= OUR_GET_RECEIVING && state <= OUR_GET_ENDED) {
    cr_assert_eq(tell_head(t, T | 1, 10), OUTCOME_OK);
    cr_assert_eq(tell_chunk(t, T | 1, state == OUR_GET_RECEIVING ? 4 : 10), OUTCOME_OK);
    if (state == OUR_GET_ENDED) cr_assert_eq(tell_done(t, T | 1, OUTCOME_OK), OUTCOME_OK);
  }
  if (state == OUR_PUT_SENDING || state == OUR_PUT_ALL) {
    cr_assert_eq(tell_head(t, T | 1, state == OUR_PUT_ALL ? 10 : 5000), OUTCOME_OK);
    write_cell(t);
  }
  if (state >= THEIR_GET_WAITS && state <= THEIR_GET_REFUSED) {
    cr_assert_eq(tell_get(t, 1, TRANSFER_CONSENSUS), OUTCOME_OK);
    expect_event(t, TRANSFER_ASKED);
    if (state == THEIR_GET_SENDING) transfers_answer(t, T | 1, large), write_cell(t);
    if (state == THEIR_GET_REFUSED) transfers_finish(t, T | 1, OUTCOME_NOT_FOUND);
  }
  if (state >= THEIR_PUT_BEGUN) {
    cr_assert_eq(tell_put(t, 1, TRANSFER_DESCRIPTOR, state == THEIR_PUT_REFUSED ? PUT_MAX + 1 : 10),
                 OUTCOME_OK);
    if (state == THEIR_PUT_RECEIVING || state == THEIR_PUT_WAITS) write_cell(t);
    if (state == THEIR_PUT_RECEIVING) cr_assert_eq(tell_chunk(t, 1, 4), OUTCOME_OK);
    if (state == THEIR_PUT_WAITS) cr_assert_eq(tell_chunk(t, 1, 10), OUTCOME_OK);
  }
  document_release(small);
  document_release(large);
  return t;
}

/* Every message, and in which states it may come; everywhere else it ends the link: [XFER-10]. */
#define BIT(state) (1u << (state))
#define EVERYWHERE (BIT(STATE_COUNT) - 1)
#define WITHOUT_THEIRS (BIT(THEIR_GET_WAITS) - 1)

struct hostile {
  const char *what;
  uint32_t allowed;
  uint8_t command;
  uint8_t len;
  uint8_t body[48];
};

static const struct hostile messages[] = {
    {"GET 1", WITHOUT_THEIRS, CONTROL_GET, 43, {0, 1, 1}},
    {"GET 2", EVERYWHERE, CONTROL_GET, 43, {0, 2, 1}},
    {"GET of a vote", EVERYWHERE, CONTROL_GET, 43, {0, 2, 3}},
    {"GET of the network file", EVERYWHERE, CONTROL_GET, 43, {0, 2, 5}},
    {"GET of a diff", EVERYWHERE, CONTROL_GET, 43, {0, 2, 6}},
    {"GET 0", 0, CONTROL_GET, 43, {0, 0, 1}},
    {"GET of the other space", 0, CONTROL_GET, 43, {0x80, 2, 1}},
    {"GET of a descriptor", 0, CONTROL_GET, 43, {0, 2, 2}},
    {"GET of kind 0", 0, CONTROL_GET, 43, {0, 2, 0}},
    {"GET of kind 7", 0, CONTROL_GET, 43, {0, 2, 7}},
    {"GET of a consensus with a hash", 0, CONTROL_GET, 43, {0, 2, 1, [42] = 1}},
    {"GET of the network file with a hash", 0, CONTROL_GET, 43, {0, 2, 5, [11] = 1}},
    {"GET of a diff with a hash", 0, CONTROL_GET, 43, {0, 2, 6, [11] = 1}},
    {"GET of a vote with an epoch", 0, CONTROL_GET, 43, {0, 2, 3, [10] = 1}},
    {"GET cut short", 0, CONTROL_GET, 42, {0, 2, 1}},
    {"GET too long", 0, CONTROL_GET, 44, {0, 2, 1}},
    {"PUT 1", WITHOUT_THEIRS, CONTROL_PUT, 7, {0, 1, 2, 0, 0, 0, 10}},
    {"PUT 2", EVERYWHERE, CONTROL_PUT, 7, {0, 2, 4, 0, 0, 0, PUT_MAX}},
    {"PUT of too much", EVERYWHERE, CONTROL_PUT, 7, {0, 2, 2, 255, 255, 255, 255}}, /* refused, not fatal */
    {"PUT of nothing", 0, CONTROL_PUT, 7, {0, 2, 2, 0, 0, 0, 0}},
    {"PUT of a consensus", 0, CONTROL_PUT, 7, {0, 2, 1, 0, 0, 0, 10}},
    {"PUT 0", 0, CONTROL_PUT, 7, {0, 0, 2, 0, 0, 0, 10}},
    {"PUT of the other space", 0, CONTROL_PUT, 7, {0x80, 2, 2, 0, 0, 0, 10}},
    {"PUT cut short", 0, CONTROL_PUT, 6, {0, 2, 2, 0, 0, 10}},
    {"HEAD 10", BIT(OUR_GET_ASKED) | BIT(OUR_PUT_ASKED), CONTROL_HEAD, 6, {0x80, 1, 0, 0, 0, 10}},
    {"HEAD 9", BIT(OUR_GET_ASKED), CONTROL_HEAD, 6, {0x80, 1, 0, 0, 0, 9}},
    {"HEAD 11", 0, CONTROL_HEAD, 6, {0x80, 1, 0, 0, 0, 11}},
    {"HEAD 4 GB", 0, CONTROL_HEAD, 6, {0x80, 1, 255, 255, 255, 255}},
    {"HEAD 0", 0, CONTROL_HEAD, 6, {0x80, 1, 0, 0, 0, 0}},
    {"HEAD of nobody's", 0, CONTROL_HEAD, 6, {0x80, 2, 0, 0, 0, 10}},
    {"HEAD of the other space", 0, CONTROL_HEAD, 6, {0, 1, 0, 0, 0, 10}},
    {"HEAD too long", 0, CONTROL_HEAD, 7, {0x80, 1, 0, 0, 0, 10}},
    {"CHUNK of an answer, 6", BIT(OUR_GET_RECEIVING), CONTROL_CHUNK, 8, {0x80, 1}},
    {"CHUNK of an answer, 7", 0, CONTROL_CHUNK, 9, {0x80, 1}},
    {"CHUNK of a PUT, 6", BIT(THEIR_PUT_RECEIVING), CONTROL_CHUNK, 8, {0, 1}},
    {"CHUNK of a PUT, 7", 0, CONTROL_CHUNK, 9, {0, 1}},
    {"CHUNK of nobody's", 0, CONTROL_CHUNK, 3, {0x80, 2}},
    {"CHUNK of nothing", 0, CONTROL_CHUNK, 2, {0x80, 1}},
    {"CHUNK cut short", 0, CONTROL_CHUNK, 1, {0x80}},
    {"DONE ok", BIT(OUR_GET_ALL) | BIT(OUR_PUT_ALL), CONTROL_DONE, 3, {0x80, 1, OUTCOME_OK}},
    {"DONE stale",
     BIT(OUR_GET_ASKED) | BIT(OUR_PUT_ASKED) | BIT(OUR_PUT_ALL),
     CONTROL_DONE,
     3,
     {0x80, 1, OUTCOME_STALE}},
    {"DONE with no outcome", 0, CONTROL_DONE, 3, {0x80, 1, 250}},
    {"DONE of nobody's", 0, CONTROL_DONE, 3, {0x80, 2, OUTCOME_STALE}},
    {"DONE of the other space", 0, CONTROL_DONE, 3, {0, 1, OUTCOME_OK}},
    {"DONE cut short", 0, CONTROL_DONE, 2, {0x80, 1}},
    {"CREDIT", 0, CONTROL_CREDIT, CONTROL_CREDIT_BYTES, {0, 1}},
    {"TIME", 0, CONTROL_TIME, 8, {0, 1}},
    {"nothing", 0, CONTROL_END_OF_CELL, 2, {0, 1}},
    {"a command of another time", 0, 200, 7, {0, 1}},
    {"an empty message", 0, CONTROL_GET, 0, {0}},
};

Test(transfer, every_message_in_every_state) {
  int64_t live = failing_allocator_live();
  for (int state = 0; state < STATE_COUNT; state++) {
    for (size_t m = 0; m < sizeof messages / sizeof *messages; m++) {
      struct transfers *t = reach((enum state)state);
      enum outcome expected =
          (messages[m].allowed & BIT(state)) != 0 ? OUTCOME_OK : OUTCOME_PROTOCOL_VIOLATION;
      enum outcome outcome = tell(t, messages[m].command, messages[m].body, messages[m].len);
      cr_expect_eq(outcome, expected, "%s when %s: %s", messages[m].what, state_names[state],
                   outcome_name(outcome));
      /* whatever came, the end goes on to be asked and freed */
      struct transfer_event event;
      while (transfers_next_event(t, &event)) document_release(event.document);
      write_cell(t);
      transfers_free(t);
    }
  }
  cr_assert_eq(failing_allocator_live(), live);
}

Test(transfer, a_peer_that_asks_more_than_the_limit_is_cut_off) {
  for (int refused = 0; refused < 2; refused++) {
    struct transfers *t = transfers_new(refused == 0, 0);
    for (uint16_t i = 1; i <= LIMIT_TRANSFERS_PER_LINK; i++)
      cr_assert_eq(tell_get(t, i, TRANSFER_CONSENSUS), OUTCOME_OK);
    cr_assert_eq(tell_get(t, 9, TRANSFER_CONSENSUS), OUTCOME_PROTOCOL_VIOLATION);
    transfers_free(t);
  }
}

Test(transfer, memory_is_taken_when_bytes_come_and_not_when_they_are_announced) {
  struct transfers *t = transfers_new(true, UINT32_MAX);
  int64_t live = failing_allocator_live();
  for (uint16_t i = 1; i <= LIMIT_TRANSFERS_PER_LINK; i++)
    cr_assert_eq(tell_put(t, i, TRANSFER_DESCRIPTOR, UINT32_MAX), OUTCOME_OK);
  write_cell(t);
  cr_assert_eq(failing_allocator_live(), live);
  cr_assert_eq(tell_chunk(t, 1, 1), OUTCOME_OK);
  cr_assert_eq(failing_allocator_live(), live + 1);
  transfers_free(t);
}

Test(transfer, an_owner_that_answers_late_twice_or_wrongly_does_no_harm) {
  struct transfers *t = transfers_new(true, PUT_MAX);
  struct document *document = make_document(10, 0);
  transfers_answer(t, T | 1, document);
  transfers_finish(t, T | 1, OUTCOME_STALE);
  cr_assert_eq(tell_get(t, 1, TRANSFER_CONSENSUS), OUTCOME_OK);
  transfers_finish(t, T | 1, OUTCOME_STALE); /* it was never told of it */
  cr_assert_not(transfers_has_output(t));
  expect_event(t, TRANSFER_ASKED);
  transfers_finish(t, T | 1, OUTCOME_STALE);
  transfers_answer(t, T | 1, document);
  uint8_t body[CELL_BODY_BYTES];
  struct message_writer writer;
  message_writer_init(&writer, body, sizeof body, true);
  transfers_write(t, &writer);
  cr_assert_eq(writer.at, 6);
  cr_assert_arr_eq(body, ((const uint8_t[]){CONTROL_DONE, 0, 3, 0x80, 1, OUTCOME_STALE}), 6);
  /* a document is no answer to what was handed in */
  cr_assert_eq(tell_put(t, 1, TRANSFER_DESCRIPTOR, 10), OUTCOME_OK);
  write_cell(t);
  cr_assert_eq(tell_chunk(t, 1, 10), OUTCOME_OK);
  document_release(expect_event(t, TRANSFER_GIVEN).document);
  transfers_answer(t, T | 1, document);
  cr_assert_not(transfers_has_output(t));
  document_release(document);
  transfers_free(t);
}

/* A GET's answer and a PUT arrive; told of failures by NULL and NO_MEMORY. */
static uint32_t receive_without_memory(void) {
  struct transfers *t = transfers_new(true, 70000);
  if (t == NULL) return 1;
  uint32_t told = 0;
  uint8_t body[1002] = {0, 1};
  transfers_get(t, &consensus, 70000);
  cr_assert_eq(tell_put(t, 1, TRANSFER_DESCRIPTOR, 70000), OUTCOME_OK);
  write_cell(t);
  cr_assert_eq(tell_head(t, T | 1, 70000), OUTCOME_OK);
  for (int i = 0; i < 140 && told == 0; i++) {
    body[0] = i < 70 ? 0 : 0x80;
    enum outcome outcome = tell(t, CONTROL_CHUNK, body, sizeof body);
    cr_assert(outcome == OUTCOME_OK || outcome == OUTCOME_NO_MEMORY);
    told += outcome == OUTCOME_NO_MEMORY;
  }
  struct transfer_event event;
  while (transfers_next_event(t, &event)) document_release(event.document);
  transfers_free(t);
  return told;
}

Test(transfer, survives_every_failing_allocation) {
  failing_allocator_try_every(receive_without_memory, true);
}

/* [XFER-8] A stranger hands in one at a time: the second is told so before a byte of it was sent, the next may come. */
Test(transfer, puts_beyond_those_taken_at_once_are_refused) {
  struct transfers *t = transfers_new(true, PUT_MAX);
  struct transfer_event event;
  transfers_limit_puts(t, 20, 1);
  cr_assert_eq(tell_put(t, 1, TRANSFER_DESCRIPTOR, 10), OUTCOME_OK);
  cr_assert_eq(tell_put(t, 2, TRANSFER_DESCRIPTOR, 10), OUTCOME_OK);
  cr_assert_eq(tell_put(t, 3, TRANSFER_DESCRIPTOR, 21), OUTCOME_OK);
  write_cell(t);
  cr_assert_eq(tell_chunk(t, 2, 10), OUTCOME_PROTOCOL_VIOLATION, "it was refused");
  cr_assert_eq(tell_chunk(t, 1, 10), OUTCOME_OK);
  cr_assert(transfers_next_event(t, &event) && event.kind == TRANSFER_GIVEN);
  document_release(event.document);
  transfers_finish(t, event.request, OUTCOME_OK);
  write_cell(t);
  cr_assert_eq(tell_put(t, 2, TRANSFER_DESCRIPTOR, 10), OUTCOME_OK);
  write_cell(t);
  cr_assert_eq(tell_chunk(t, 2, 10), OUTCOME_OK);
  cr_assert(transfers_next_event(t, &event) && event.kind == TRANSFER_GIVEN);
  document_release(event.document);
  transfers_free(t);
}
