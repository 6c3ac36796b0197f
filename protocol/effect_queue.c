#include "protocol/effect_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NAMELESS_BYTES = offsetof(struct effect, name) };

/* Room for one effect, or for all of one but its name: a node is reserved for every connection there is. */
struct effect_node {
  struct effect_node *next;
  size_t len;
  _Alignas(struct effect) uint8_t bytes[];
};

static struct effect_node *node_new(size_t len) {
  struct effect_node *node = malloc(sizeof *node + len);
  if (node != NULL) node->len = len;
  return node;
}

static void append(struct effect_queue *queue, struct effect_node *node, const struct effect *effect) {
  memcpy(node->bytes, effect, node->len);
  node->next = NULL;
  if (queue->last != NULL) queue->last->next = node;
  else queue->first = node;
  queue->last = node;
  queue->count++;
}

bool effect_queue_put(struct effect_queue *queue, const struct effect *effect) {
  struct effect_node *node = node_new(effect->name[0] != '\0' ? sizeof *effect : NAMELESS_BYTES);
  if (node == NULL) return false;
  append(queue, node, effect);
  return true;
}

/* [MACH-11] */
bool effect_queue_reserve(struct effect_queue *queue) {
  struct effect_node *node = node_new(NAMELESS_BYTES);
  if (node == NULL) return false;
  node->next = queue->spare;
  queue->spare = node;
  queue->reserved++;
  return true;
}

static struct effect_node *take_spare(struct effect_queue *queue) {
  struct effect_node *node = queue->spare;
  assert(node != NULL);
  queue->spare = node->next;
  queue->reserved--;
  return node;
}

void effect_queue_release(struct effect_queue *queue) {
  free(take_spare(queue));
}

void effect_queue_put_reserved(struct effect_queue *queue, const struct effect *effect) {
  assert(effect->name[0] == '\0');
  append(queue, take_spare(queue), effect);
}

void effect_queue_exit(struct effect_queue *queue, enum outcome outcome) {
  if (queue->exits) return;
  queue->exits = true;
  queue->exit_outcome = outcome;
}

static bool take_exit(struct effect_queue *queue, struct effect *ret) {
  if (!queue->exits || queue->exit_taken) return false;
  queue->exit_taken = true;
  *ret = (struct effect){.kind = EFFECT_EXIT, .outcome = queue->exit_outcome};
  return true;
}

bool effect_queue_take(struct effect_queue *queue, struct effect *ret) {
  struct effect_node *node = queue->first;
  if (node == NULL) return take_exit(queue, ret);
  *ret = (struct effect){0};
  memcpy(ret, node->bytes, node->len);
  queue->first = node->next;
  if (queue->first == NULL) queue->last = NULL;
  queue->count--;
  free(node);
  return true;
}

void effect_queue_wipe(struct effect_queue *queue) {
  for (struct effect effect; effect_queue_take(queue, &effect);) document_release(effect.document);
  while (queue->spare != NULL) free(take_spare(queue));
}
