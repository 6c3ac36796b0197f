/* What a node tells people about itself: readiness, cause, progress, dates that run out, figures.
 * Spec: specs/outcomes.md [OUT-5]. Filled by machines; shown by the control socket, `status`, `wait`, metrics.
 * Never holds a secret, nor a destination.
 */
#ifndef TUNIC_PROTOCOL_STATUS_H
#define TUNIC_PROTOCOL_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/instant.h"
#include "protocol/outcome.h"

enum { STATUS_FIGURES_MAX = 96, STATUS_TEXTS_MAX = 24, STATUS_EXPIRIES_MAX = 12 };

struct status_figure { const char *name; uint64_t value; };      /* names are constants: "circuits_open" */
struct status_text { const char *name; char value[160]; };       /* "path": "r1 r2 x1" */
struct status_expiry { const char *name; struct date date; };    /* "consensus" */

struct status {
  const char *role; /* "client", "relay", "authority" */
  bool ready;
  enum outcome cause;   /* why not ready; OK when ready */
  uint8_t stage, stages; /* progress: never runs backwards */
  const char *stage_text; /* "fetching the consensus" */
  uint32_t figure_count, text_count, expiry_count;
  struct status_figure figures[STATUS_FIGURES_MAX];
  struct status_text texts[STATUS_TEXTS_MAX];
  struct status_expiry expiries[STATUS_EXPIRIES_MAX];
};

/* Beyond the room above: left out. Texts longer than theirs are cut. */
void status_add_figure(struct status *, const char *name, uint64_t value);
void status_add_text(struct status *, const char *name, const char *value);
void status_add_expiry(struct status *, const char *name, struct date);

#endif
