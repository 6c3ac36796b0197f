#include "tests/sim/liar.h"

#include <stdlib.h>
#include <string.h>

#include "tests/liars/authority.h"
#include "tests/unit/directory/agreement_witness.h"

enum { HEARD_MOST = 256, LATE_MOST_VIEWS = 6 };

struct late_word { struct list_node node; instant at; uint8_t to; struct document *document; };

struct liar {
  struct node *node;
  uint32_t habits;
  uint32_t audience;                  /* bit i: authority i sees its other face */
  uint64_t lies;
  struct liar_face face;
  struct random_stream random;
  struct document *heard[HEARD_MOST]; /* what it can repeat, of any age */
  struct list late;
};

void __real_peers_send(struct authority *, instant now, uint8_t to, struct document *);
void __wrap_peers_send(struct authority *, instant now, uint8_t to, struct document *);

static struct node *node_of(const struct authority *authority) {
  return LIST_OBJECT(authority->config.budget, struct node, budget);
}

static void remember(struct liar *liar, struct document *document) {
  struct document **place = &liar->heard[random_below(&liar->random, HEARD_MOST)];
  document_release(*place);
  *place = document_take(document);
}

/* ---- [SIM-3] what it says ---- */

static void deliver_late(struct sim_host *host) {
  struct node *node = host->owner;
  struct list_node *next;
  for (struct list_node *at = list_first(&node->liar->late); at != NULL && node->authority != NULL; at = next) {
    struct late_word *word = LIST_OBJECT(at, struct late_word, node);
    next = list_after(&node->liar->late, at);
    if (word->at > host->sim->now) continue;
    __real_peers_send(node->authority, host->sim->now, word->to, word->document);
    list_leave(&word->node);
    document_release(word->document);
    free(word);
  }
  sim_poke(host, 0);
}

static void say(struct liar *liar, instant now, uint8_t to, struct document *document) {
  struct authority *authority = liar->node->authority;
  if (liar->habits & LIAR_SILENT || to == authority->own) return;
  if (!(liar->habits & LIAR_LATE)) {
    __real_peers_send(authority, now, to, document);
    return;
  }
  struct late_word *word = calloc(1, sizeof *word);
  if (word == NULL) abort();
  uint64_t longest = LATE_MOST_VIEWS * (uint64_t)authority->network->timing.view_most * MILLISECONDS;
  *word = (struct late_word){.at = instant_after(now, random_below(&liar->random, longest)), .to = to, .document = document_take(document)};
  list_append(&liar->late, &word->node);
  sim_call(liar->node->host, word->at, deliver_late);
}

static void say_to_some(struct liar *liar, instant now, struct document *document, uint32_t to) {
  for (uint8_t i = 0; i < liar->node->authority->network->authority_count; i++)
    if (to >> i & 1) say(liar, now, i, document);
  liar->lies++;
  document_release(document);
}

static void speak_as_liar(struct liar *liar, struct authority *authority, instant now, uint8_t to, struct document *document) {
  struct document *other = liar->habits & LIAR_TWINS ? liar_otherwise(authority, &liar->face, now, document) : NULL;
  remember(liar, document);
  if (other != NULL) liar->lies++;
  for (uint8_t i = 0; i < authority->network->authority_count; i++) {
    if (to != AGREEMENT_EVERYONE && to != i) continue;
    say(liar, now, i, other != NULL && liar->audience >> i & 1 ? other : document);
  }
  document_release(other);
}

void __wrap_peers_send(struct authority *authority, instant now, uint8_t to, struct document *document) {
  struct node *node = node_of(authority);
  struct witness *witness = node->network->witness;
  if (node->liar != NULL && node->authority == authority && node->liar->habits != 0) {
    speak_as_liar(node->liar, authority, now, to, document);
    return;
  }
  if (node->liar == NULL && witness != NULL) witness_said(witness, (uint8_t)authority->own, document);
  __real_peers_send(authority, now, to, document);
}

/* ---- what it hears ---- */

void liar_hears(void *context, instant now, const uint8_t *bytes, size_t len) {
  struct authority *authority = context;
  struct liar *liar = node_of(authority)->liar;
  struct document *said[2];
  if (liar == NULL || liar->node->authority != authority) return;
  struct document *document = document_new(bytes, len);
  if (document == NULL) abort();
  remember(liar, document);
  document_release(document);
  if (!(liar->habits & LIAR_AGREEABLE)) return;
  struct agreement_members members;
  liar_members(authority->network, &members);
  if (!liar_agree(&members, (uint8_t)authority->own, authority->config.identity_seed->bytes, bytes, len, said)) return;
  uint32_t to = random_below(&liar->random, 3) ? UINT32_MAX : random_u32(&liar->random);
  for (uint32_t i = 0; i < 2; i++) say_to_some(liar, now, said[i], to);
}

/* Between two honest authorities nothing is ever broken; only old or doubled. */
void liar_judged(void *context, uint8_t from, enum outcome outcome) {
  const struct authority *authority = context;
  const struct node *node = node_of(authority);
  struct witness *witness = node->network->witness;
  if (node->liar != NULL || witness == NULL) return;
  if (outcome == OUTCOME_DIRECTORY_SPLIT) witness_fail(witness, "two valid consensuses of one epoch");
  bool is_liar = network_node(node->network, authority->network->authorities[from].name)->liar != NULL;
  if (!is_liar && outcome != OUTCOME_OK && outcome != OUTCOME_STALE) witness_fail(witness, "an honest message is refused");
}

/* ---- what it does unasked ---- */

static void do_mischief(struct liar *liar, instant now) {
  const struct authority *authority = liar->node->authority;
  struct document *old = liar->heard[random_below(&liar->random, HEARD_MOST)];
  uint32_t to = 1U << random_below(&liar->random, authority->network->authority_count);
  if (liar->habits & LIAR_RUBBISH) say_to_some(liar, now, liar_rubbish(old, &liar->random), to);
  if (liar->habits & LIAR_REPLAYS && old != NULL) say_to_some(liar, now, document_take(old), to);
  if (!(liar->habits & LIAR_HASTY)) return;
  struct agreement_summary summary;
  struct agreement_members members;
  agreement_summarise(authority->agreement, &summary);
  liar_members(authority->network, &members);
  struct document *timeout = liar_hurry(&members, (uint8_t)authority->own, authority->config.identity_seed->bytes, summary.epoch, summary.view, &liar->random);
  say_to_some(liar, now, timeout, random_u32(&liar->random));
}

static void mischief(struct sim_host *host) {
  struct node *node = host->owner;
  uint64_t most = (uint64_t)node->network->file.timing.view_first * MILLISECONDS;
  if (node->authority != NULL) {
    do_mischief(node->liar, host->sim->now);
    sim_poke(host, 0);
  }
  sim_call(host, instant_after(host->sim->now, 1 + random_below(&node->liar->random, most)), mischief);
}

void liar_begin(struct node *node) {
  struct liar *liar = calloc(1, sizeof *liar);
  uint8_t seed[RANDOM_SEED_BYTES];
  if (liar == NULL) abort();
  sim_seed(&node->network->sim, seed);
  random_init(&liar->random, seed);
  list_init(&liar->late);
  liar->node = node;
  node->liar = liar;
  liar_restarted(node);
}

void liar_restarted(struct node *node) {
  sim_call(node->host, node->network->sim.now, mischief);
}

void liar_end(struct node *node) {
  struct liar *liar = node->liar;
  struct list_node *at;
  if (liar == NULL) return;
  while ((at = list_take_first(&liar->late)) != NULL) {
    document_release(LIST_OBJECT(at, struct late_word, node)->document);
    free(LIST_OBJECT(at, struct late_word, node));
  }
  for (uint32_t i = 0; i < HEARD_MOST; i++) document_release(liar->heard[i]);
  free(liar);
  node->liar = NULL;
}

void liar_set_habits(struct node *node, uint32_t habits) {
  node->liar->habits = habits;
  node->liar->audience = random_u32(&node->liar->random);
}

uint64_t liar_lies(const struct node *node) {
  return node->liar == NULL ? 0 : node->liar->lies;
}
