#include "network/nodes.h"

#include <stdio.h>
#include <string.h>

#include "io/files.h"

enum { ADDRESSES_FILE_BYTES = 256 * 1024 };

const char *node_role_name(enum node_role role) {
  static const char *const NAMES[NODE_ROLES] = {"authority", "relay", "exit", "client"};
  return NAMES[role];
}

char node_role_letter(enum node_role role) {
  static const char LETTERS[NODE_ROLES] = {'a', 'r', 'x', 'c'};
  return LETTERS[role];
}

/* ---- the file of addresses ---- */

/* The next word of a line, cut off it; its length is 0 at the line's end. */
static size_t take_word(const char **at, const char *end, const char **ret_word) {
  while (*at < end && (**at == ' ' || **at == '\t')) (*at)++;
  *ret_word = *at;
  while (*at < end && **at != ' ' && **at != '\t') (*at)++;
  return (size_t)(*at - *ret_word);
}

/* False: not `NAME IP`, twice the same name, or too many. Empty lines and `#` lines say nothing. */
static bool read_line(const char *at, const char *end, struct node_addresses *ret) {
  const char *name, *host, *rest;
  size_t name_len = take_word(&at, end, &name);
  if (name_len == 0 || *name == '#') return true;
  size_t host_len = take_word(&at, end, &host);
  if (take_word(&at, end, &rest) != 0 || name_len >= NODE_NAME_BYTES || ret->count == NODES_MAX) return false;
  struct address address, known;
  char copy[NODE_NAME_BYTES] = "";
  memcpy(copy, name, name_len);
  if (!address_parse_host(host, host_len, &address) || node_addresses_find(ret, copy, &known)) return false;
  memcpy(ret->list[ret->count].name, copy, sizeof copy);
  ret->list[ret->count++].address = address;
  return true;
}

enum outcome node_addresses_read(const char *path, struct node_addresses *ret, struct complaint *complaint) {
  struct document *document;
  enum outcome outcome = file_read(path, ADDRESSES_FILE_BYTES, &document, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  const char *at = (const char *)document_bytes(document), *end = at + document_len(document);
  ret->count = 0;
  for (unsigned line = 1; at < end && outcome == OUTCOME_OK; line++) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (line_end == NULL) line_end = end;
    if (!read_line(at, line_end, ret)) {
      complain(complaint, "%s, line %u: expected a node's name and its IP address, each name once.", path, line);
      outcome = OUTCOME_BAD_SETTING;
    }
    at = line_end + (line_end < end);
  }
  document_release(document);
  return outcome;
}

bool node_addresses_find(const struct node_addresses *addresses, const char *name, struct address *ret) {
  *ret = (struct address){.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}};
  for (uint32_t i = 0; addresses != NULL && i < addresses->count; i++) {
    if (strcmp(addresses->list[i].name, name) != 0) continue;
    *ret = addresses->list[i].address;
    return true;
  }
  return addresses == NULL;
}

/* ---- the nodes ---- */

static struct node *add_node(struct node_list *list, enum node_role role, uint32_t number) {
  struct node *node = &list->nodes[list->count++];
  *node = (struct node){.role = role};
  snprintf(node->name, sizeof node->name, "%c%u", node_role_letter(role), number);
  return node;
}

/* An authority's place is in the network file, since everybody else looks for it there. */
static enum outcome add_authorities(const struct network_file *network, struct node_list *list, struct complaint *complaint) {
  for (uint32_t i = 0; i < network->authority_count; i++) {
    const struct network_authority *authority = &network->authorities[i];
    struct node *node = add_node(list, NODE_AUTHORITY, i + 1);
    snprintf(node->name, sizeof node->name, "%s", authority->name);
    if (!address_parse_host(authority->host, strlen(authority->host), &node->address)) {
      complain(complaint, "Authority %s is at %s, a name: it is not started by this command but with tunic-directory.",
               authority->name, authority->host);
      return OUTCOME_BAD_SETTING;
    }
    node->address.port = authority->port;
  }
  return OUTCOME_OK;
}

static enum outcome add_relays(const struct node_numbers *numbers, enum node_role role, uint32_t count,
                               struct node_list *list, struct complaint *complaint) {
  for (uint32_t i = 1; i <= count; i++) {
    uint32_t port = numbers->port_base + list->count;
    struct node *node = add_node(list, role, i);
    if (!node_addresses_find(numbers->addresses, node->name, &node->address)) {
      complain(complaint, "The file of addresses has no line for %s.", node->name);
      return OUTCOME_BAD_SETTING;
    }
    node->address.port = (uint16_t)port;
  }
  return OUTCOME_OK;
}

enum outcome node_list_make(const struct network_file *network, const struct node_numbers *numbers, struct node_list *ret,
                            struct complaint *complaint) {
  uint64_t listening = (uint64_t)network->authority_count + numbers->relays + numbers->exits;
  ret->count = 0;
  if (listening + numbers->clients > NODES_MAX) {
    complain(complaint, "At most %d nodes run on one machine.", NODES_MAX);
    return OUTCOME_BAD_SETTING;
  }
  if (numbers->port_base == 0 || numbers->port_base + listening > 65536 || numbers->socks.port + (uint64_t)numbers->clients > 65536) {
    complain(complaint, "There are not enough ports above %u: choose a lower --port-base or SOCKS port.", numbers->port_base);
    return OUTCOME_BAD_SETTING;
  }
  enum outcome outcome = add_authorities(network, ret, complaint);
  if (outcome == OUTCOME_OK) outcome = add_relays(numbers, NODE_RELAY, numbers->relays, ret, complaint);
  if (outcome == OUTCOME_OK) outcome = add_relays(numbers, NODE_EXIT, numbers->exits, ret, complaint);
  for (uint32_t i = 1; outcome == OUTCOME_OK && i <= numbers->clients; i++) {
    struct node *node = add_node(ret, NODE_CLIENT, i);
    node->address = numbers->socks;
    node->address.port = (uint16_t)(numbers->socks.port + i - 1);
  }
  return outcome;
}
