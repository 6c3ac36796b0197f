#include "protocol/status.h"

#include <string.h>

/* [OUT-5] What has no room is left out: a node does not die of describing itself. */
void status_add_figure(struct status *status, const char *name, uint64_t value) {
  if (status->figure_count == STATUS_FIGURES_MAX) return;
  status->figures[status->figure_count++] = (struct status_figure){name, value};
}

void status_add_text(struct status *status, const char *name, const char *value) {
  if (status->text_count == STATUS_TEXTS_MAX) return;
  struct status_text *text = &status->texts[status->text_count++];
  size_t len = strlen(value);
  if (len > sizeof text->value - 1) len = sizeof text->value - 1;
  text->name = name;
  memcpy(text->value, value, len);
  text->value[len] = 0;
}

void status_add_expiry(struct status *status, const char *name, struct date date) {
  if (status->expiry_count == STATUS_EXPIRIES_MAX) return;
  status->expiries[status->expiry_count++] = (struct status_expiry){name, date};
}
