#include "io/status_json.h"

json_t *status_json_progress(const struct status *status) {
  return json_pack("{s:s, s:b, s:{s:s, s:s, s:s}, s:i, s:i, s:s}", "role", status->role == NULL ? "" : status->role, "ready",
                   status->ready, "cause", "name", outcome_name(status->cause), "text", outcome_text(status->cause), "advice",
                   outcome_advice(status->cause), "stage", status->stage, "stages", status->stages, "stage_text",
                   status->stage_text == NULL ? "" : status->stage_text);
}

static json_t *figures(const struct status *status) {
  json_t *object = json_object();
  for (uint32_t i = 0; i < status->figure_count; i++)
    json_object_set_new(object, status->figures[i].name, json_integer((json_int_t)status->figures[i].value));
  return object;
}

/* A list, since one name may have several: each circuit its path. */
static json_t *texts(const struct status *status) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < status->text_count; i++)
    json_array_append_new(array, json_pack("{s:s, s:s}", "name", status->texts[i].name, "value", status->texts[i].value));
  return array;
}

static json_t *expiries(const struct status *status) {
  json_t *object = json_object();
  for (uint32_t i = 0; i < status->expiry_count; i++) {
    char text[DATE_TEXT_BYTES];
    date_format(status->expiries[i].date, text);
    json_object_set_new(object, status->expiries[i].name, json_string(text));
  }
  return object;
}

json_t *status_json(const struct status *status) {
  json_t *object = status_json_progress(status);
  if (object == NULL) return NULL;
  json_object_set_new(object, "figures", figures(status));
  json_object_set_new(object, "texts", texts(status));
  json_object_set_new(object, "expiries", expiries(status));
  return object;
}
