#include "protocol/effect_queue.h"

#include <stdlib.h>

struct effect_node {
  struct effect_node *next;
  struct effect effect;
};

bool effect_queue_put(struct effect_queue *queue, const struct effect *effect) {
  struct effect_node *node = malloc(sizeof *node);
  if (!node) return false;
  *node = (struct effect_node){.effect = *effect};
  if (queue->last)
    queue->last->next = node;
  else
    queue->first = node;
  queue->last = node;
  queue->count++;
  return true;
}

bool effect_queue_take(struct effect_queue *queue, struct effect *ret) {
  struct effect_node *node = queue->first;
  if (!node) return false;
  *ret = node->effect;
  queue->first = node->next;
  if (!queue->first) queue->last = NULL;
  queue->count--;
  free(node);
  return true;
}

void effect_queue_wipe(struct effect_queue *queue) {
  for (struct effect effect; effect_queue_take(queue, &effect);) document_release(effect.document);
}
