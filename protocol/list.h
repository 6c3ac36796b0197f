/* Intrusive doubly linked lists: nodes live inside the objects, so joining never allocates and leaving is O(1).
 * Spec: none. Called by whoever keeps many objects in an order.
 * A zeroed node is in no list; leaving twice is harmless.
 */
#ifndef TUNIC_PROTOCOL_LIST_H
#define TUNIC_PROTOCOL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node { struct list_node *previous, *next; };
struct list { struct list_node head; };

/* The object of type `type` whose member `member` is the node. */
#define LIST_OBJECT(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

static inline void list_init(struct list *list) {
  list->head.previous = list->head.next = &list->head;
}

static inline bool list_contains_node(const struct list_node *node) {
  return node->next != NULL;
}

static inline void list_append(struct list *list, struct list_node *node) {
  node->previous = list->head.previous;
  node->next = &list->head;
  node->previous->next = node;
  list->head.previous = node;
}

static inline void list_leave(struct list_node *node) {
  if (node->next == NULL) return;
  node->previous->next = node->next;
  node->next->previous = node->previous;
  node->previous = node->next = NULL;
}

static inline struct list_node *list_first(const struct list *list) {
  return list->head.next == &list->head ? NULL : list->head.next;
}

static inline struct list_node *list_after(const struct list *list, const struct list_node *node) {
  return node->next == &list->head ? NULL : node->next;
}

static inline struct list_node *list_take_first(struct list *list) {
  struct list_node *node = list_first(list);
  if (node != NULL) list_leave(node);
  return node;
}

#endif
