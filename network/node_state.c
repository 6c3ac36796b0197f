#include "network/node_state.h"

#include <stdio.h>
#include <string.h>

#include "io/control_client.h"
#include "io/loop.h"

enum { PATH_BYTES = 4096, ANSWER_WAIT_MS = 2000 };

static void copy_text(char ret[NODE_TEXT_BYTES], const json_t *text) {
  const char *value = json_string_value(text);
  snprintf(ret, NODE_TEXT_BYTES, "%s", value == NULL ? "" : value);
}

static void read_path(const json_t *texts, char ret[NODE_TEXT_BYTES]) {
  for (size_t i = 0; i < json_array_size(texts); i++) {
    const json_t *text = json_array_get(texts, i);
    const char *name = json_string_value(json_object_get(text, "name"));
    if (name != NULL && strcmp(name, "path") == 0) copy_text(ret, json_object_get(text, "value"));
  }
}

/* [OUT-7] Consensuses, guards and the certificates of a relay that has its identity are replaced without anybody's help, in time. */
static void read_expiries(const json_t *expiries, char ret[NODE_TEXT_BYTES]) {
  static const struct { const char *name; int64_t days; } RENEWED_BY_PEOPLE[] = {{"network file", 30}, {"signing key", 7}};
  struct date now = loop_wall_clock(loop_now()).date, soonest = {INT64_MAX};
  for (size_t i = 0; i < sizeof RENEWED_BY_PEOPLE / sizeof RENEWED_BY_PEOPLE[0]; i++) {
    struct date date;
    const char *name = RENEWED_BY_PEOPLE[i].name, *text = json_string_value(json_object_get(expiries, name));
    if (text == NULL || !date_parse(text, strlen(text), &date) || date_compare(date, soonest) >= 0) continue;
    if (date_compare(date, date_after(now, RENEWED_BY_PEOPLE[i].days * 24 * 60 * 60 * 1000)) > 0) continue;
    soonest = date;
    snprintf(ret, NODE_TEXT_BYTES, "the %s %s on %s", name, date_compare(date, now) < 0 ? "expired" : "expires", text);
  }
}

static void read_answer(const json_t *answer, struct node_state *ret) {
  const char *cause = json_string_value(json_object_get(json_object_get(answer, "cause"), "name"));
  ret->answers = true;
  ret->ready = json_is_true(json_object_get(answer, "ready"));
  if (cause == NULL || !outcome_from_name(cause, &ret->cause)) ret->cause = OUTCOME_PROTOCOL_VIOLATION;
  ret->stage = (uint32_t)json_integer_value(json_object_get(answer, "stage"));
  ret->stages = (uint32_t)json_integer_value(json_object_get(answer, "stages"));
  copy_text(ret->stage_text, json_object_get(answer, "stage_text"));
  read_path(json_object_get(answer, "texts"), ret->path);
  read_expiries(json_object_get(answer, "expiries"), ret->soon);
}

void node_state_ask(const char *folder, const char *name, struct node_state *ret) {
  char path[PATH_BYTES];
  struct control_client *client;
  json_t *answer;
  *ret = (struct node_state){.cause = OUTCOME_NOT_RUNNING};
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return;
  if (control_client_open(path, &client, NULL) != OUTCOME_OK) return;
  instant deadline = instant_after(loop_now(), ANSWER_WAIT_MS * MILLISECONDS);
  if (control_client_ask(client, "status", deadline, &answer, NULL) == OUTCOME_OK) {
    read_answer(answer, ret);
    json_decref(answer);
  }
  control_client_close(client);
}
