#include "client/saved_state.h"

#include <stdio.h>
#include <string.h>

static const char FIRST_LINE[] = "tunic-client-state 1\n";

enum {
  DATE_BYTES = DATE_TEXT_BYTES - 1,
  GUARD_LINE_BYTES = 6 + 2 * IDENTITY_BYTES + 3 * (1 + DATE_BYTES) + 1,
};
static_assert(sizeof FIRST_LINE + 8 + 2 * 32 + 1 + GUARD_SAMPLE_MOST * GUARD_LINE_BYTES <= SAVED_STATE_MAX_BYTES, "every state fits");

/* A cursor over the text; a failure is remembered. */
struct text { const char *at, *end; uint32_t line; bool failed; };

static bool skip(struct text *text, const char *expected) {
  size_t len = strlen(expected);
  if (text->failed || (size_t)(text->end - text->at) < len || memcmp(text->at, expected, len) != 0) {
    text->failed = true;
    return false;
  }
  text->at += len;
  return true;
}

static bool read_hex(struct text *text, uint8_t *ret, size_t len) {
  if (text->failed || (size_t)(text->end - text->at) < 2 * len || !hex_decode(ret, len, text->at, 2 * len)) {
    text->failed = true;
    return false;
  }
  text->at += 2 * len;
  return true;
}

static void read_date(struct text *text, struct date *ret) {
  if (!skip(text, " ") || text->end - text->at < DATE_BYTES || !date_parse(text->at, DATE_BYTES, ret)) text->failed = true;
  else text->at += DATE_BYTES;
}

/* "-": listed. */
static void read_unlisted(struct text *text, struct date *ret) {
  *ret = (struct date){0};
  if (text->end - text->at >= 2 && memcmp(text->at, " -", 2) == 0) {
    text->at += 2;
    return;
  }
  read_date(text, ret);
  if (ret->milliseconds == 0) text->failed = true; /* it would be written as "-" */
}

static void read_guard(struct text *text, struct guard_sample *sample) {
  struct guard guard = {0};
  if (sample->count == GUARD_SAMPLE_MOST) {
    text->failed = true;
    return;
  }
  skip(text, "guard ");
  read_hex(text, guard.identity, IDENTITY_BYTES);
  read_date(text, &guard.added);
  read_date(text, &guard.expires);
  read_unlisted(text, &guard.unlisted);
  skip(text, "\n");
  if (text->failed || guard_sample_find(sample, guard.identity) >= 0) text->failed = true;
  else sample->guards[sample->count++] = guard;
}

/* [GUARD-6] */
enum outcome saved_state_parse(const char *bytes, size_t len, const uint8_t network[32], struct saved_state *ret, uint32_t *ret_line) {
  struct text text = {.at = bytes, .end = bytes + len, .line = 1};
  struct saved_state state = {0};
  skip(&text, FIRST_LINE);
  text.line += !text.failed;
  skip(&text, "network ");
  read_hex(&text, state.network, sizeof state.network);
  skip(&text, "\n");
  text.line += !text.failed;
  while (!text.failed && text.at < text.end) {
    read_guard(&text, &state.sample);
    text.line += !text.failed;
  }
  if (ret_line != NULL) *ret_line = text.line;
  if (text.failed) return OUTCOME_BAD_DOCUMENT;
  if (memcmp(state.network, network, sizeof state.network) != 0) return OUTCOME_WRONG_NETWORK;
  *ret = state;
  return OUTCOME_OK;
}

static size_t format_guard(const struct guard *guard, char *out, size_t room) {
  char identity[2 * IDENTITY_BYTES + 1], added[DATE_TEXT_BYTES], expires[DATE_TEXT_BYTES], unlisted[DATE_TEXT_BYTES] = "-";
  hex_encode(identity, guard->identity, IDENTITY_BYTES);
  date_format(guard->added, added);
  date_format(guard->expires, expires);
  if (guard->unlisted.milliseconds != 0) date_format(guard->unlisted, unlisted);
  return (size_t)snprintf(out, room, "guard %s %s %s %s\n", identity, added, expires, unlisted);
}

size_t saved_state_format(const struct saved_state *state, char ret_text[SAVED_STATE_MAX_BYTES]) {
  char network[2 * 32 + 1];
  hex_encode(network, state->network, sizeof state->network);
  size_t len = (size_t)snprintf(ret_text, SAVED_STATE_MAX_BYTES, "%snetwork %s\n", FIRST_LINE, network);
  for (uint32_t i = 0; i < state->sample.count; i++)
    len += format_guard(&state->sample.guards[i], ret_text + len, SAVED_STATE_MAX_BYTES - len);
  return len;
}
