#include <stdlib.h>

#include "directory/authority_internal.h"

/* Handed in: its signatures are still to be verified. */
struct waiting_descriptor {
  struct list_node node;
  struct authority_link *link;
  uint16_t request;
  enum { KNOWN, NEWCOMER } queue;
  struct document *text;
  struct descriptor descriptor;
  struct descriptor_proof proof;
};

/* Both or neither. */
static bool take_both(struct token_bucket *own, uint64_t own_cost, struct token_bucket *all, instant now) {
  return token_bucket_ready(own, now, own_cost) <= now && token_bucket_take(all, now, 1) && token_bucket_take(own, now, own_cost);
}

/* [AUTH-12] */
static bool may_be_verified(struct authority *authority, struct authority_link *link, instant now, const struct descriptor *descriptor, bool is_known) {
  struct token_bucket *address = &source_allowance(authority, link)->descriptors;
  if (!is_known) return take_both(address, LIMIT_DESCRIPTOR_GAP_S, &authority->newcomers, now);
  struct token_bucket *relay = relays_tokens(authority, descriptor);
  return token_bucket_take(relay == NULL ? address : relay, now, LIMIT_DESCRIPTOR_GAP_S);
}

static bool has_room(const struct authority *authority, const struct authority_link *link, bool is_known) {
  const struct source *source = source_of(authority, link);
  return link->waiting == NULL && (source == NULL || source->waiting < LIMIT_DESCRIPTORS_WAITING_PER_ADDRESS) &&
         authority->waiting_count[is_known ? KNOWN : NEWCOMER] < LIMIT_DESCRIPTORS_WAITING;
}

static void enqueue(struct authority *authority, struct authority_link *link, struct waiting_descriptor *waiting) {
  struct source *source = source_of(authority, link);
  waiting->link = link;
  link->waiting = waiting;
  list_append(&authority->waiting[waiting->queue], &waiting->node);
  authority->waiting_count[waiting->queue]++;
  if (source != NULL) source->waiting++;
}

static void dequeue(struct authority *authority, struct waiting_descriptor *waiting) {
  struct source *source = source_of(authority, waiting->link);
  waiting->link->waiting = NULL;
  list_leave(&waiting->node);
  authority->waiting_count[waiting->queue]--;
  if (source != NULL) source->waiting--;
  document_release(waiting->text);
  free(waiting);
}

void descriptors_forget(struct authority *authority, struct authority_link *link) {
  if (link->waiting != NULL) dequeue(authority, link->waiting);
}

/* [AUTH-11] What costs nothing is asked first: whoever hands in the same again is told so, however often. */
enum outcome descriptors_receive(struct authority *authority, struct authority_link *link, instant now, uint16_t request, struct document *text) {
  struct waiting_descriptor *waiting = calloc(1, sizeof *waiting);
  if (waiting == NULL) return OUTCOME_NO_MEMORY;
  struct descriptor *descriptor = &waiting->descriptor;
  enum outcome outcome =
      descriptor_read_unproven(authority->network->id, document_bytes(text), document_len(text), descriptor, &waiting->proof);
  if (outcome == OUTCOME_OK) outcome = relays_screen(authority, now, descriptor);
  bool is_known = outcome == OUTCOME_OK && relays_is_known(authority, descriptor, &link->address);
  if (outcome == OUTCOME_OK && !(has_room(authority, link, is_known) && may_be_verified(authority, link, now, descriptor, is_known)))
    outcome = OUTCOME_TOO_BUSY;
  authority->descriptors_too_busy += outcome == OUTCOME_TOO_BUSY;
  authority->descriptors_refused += outcome != OUTCOME_OK && outcome != OUTCOME_STALE && outcome != OUTCOME_TOO_BUSY;
  if (outcome != OUTCOME_OK) {
    free(waiting);
    return outcome;
  }
  waiting->request = request;
  waiting->queue = is_known ? KNOWN : NEWCOMER;
  waiting->text = document_take(text);
  enqueue(authority, link, waiting);
  return OUTCOME_OK;
}

/* Known relays' first: they are bounded by their number. */
bool descriptors_work(struct authority *authority, instant now) {
  struct list_node *first = list_first(&authority->waiting[KNOWN]);
  if (first == NULL) first = list_first(&authority->waiting[NEWCOMER]);
  if (first == NULL) return false;
  struct waiting_descriptor *waiting = LIST_OBJECT(first, struct waiting_descriptor, node);
  struct authority_link *link = waiting->link;
  enum outcome outcome;
  authority->signatures_checked++;
  if (descriptor_prove(&waiting->descriptor, document_bytes(waiting->text), &waiting->proof, &outcome)) return true;
  if (outcome == OUTCOME_OK) outcome = relays_take_descriptor(authority, now, waiting->text, &waiting->descriptor, &link->address);
  authority->descriptors_taken += outcome == OUTCOME_OK;
  authority->descriptors_refused += outcome != OUTCOME_OK && outcome != OUTCOME_STALE;
  if (!link->is_gone) {
    transfers_finish(trunk_transfers(link->trunk), waiting->request, outcome);
    trunk_make_ready(link->trunk);
  }
  dequeue(authority, waiting);
  return true;
}
