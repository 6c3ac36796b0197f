#include "network/init.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/driver.h"
#include "io/key_file.h"

enum { PATH_BYTES = 4096, NETWORK_NAME_MAX = sizeof ((struct network_file *)NULL)->name - 1 };

void init_wish_authorities(struct init_wishes *wishes, uint32_t count, const struct address *first) {
  wishes->authority_count = count < LIMIT_AUTHORITIES ? count : LIMIT_AUTHORITIES;
  for (uint32_t i = 0; i < wishes->authority_count; i++) {
    struct network_authority *authority = &wishes->authorities[i];
    snprintf(authority->name, sizeof authority->name, "a%u", i + 1);
    address_format_host(first, authority->host);
    authority->port = (uint16_t)(first->port + i);
  }
}

enum outcome init_place_authorities(struct init_wishes *wishes, const struct node_addresses *addresses, struct complaint *complaint) {
  for (uint32_t i = 0; i < wishes->authority_count; i++) {
    struct address address;
    if (!node_addresses_find(addresses, wishes->authorities[i].name, &address)) {
      complain(complaint, "The file of addresses has no line for %s.", wishes->authorities[i].name);
      return OUTCOME_BAD_SETTING;
    }
    address_format_host(&address, wishes->authorities[i].host);
  }
  return OUTCOME_OK;
}

bool init_read_authority(const char *text, size_t len, struct network_authority *ret) {
  const char *equals = memchr(text, '=', len), *host = equals == NULL ? NULL : equals + 1, *end = text + len, *colon = end;
  if (equals == NULL || (size_t)(equals - text) >= sizeof ret->name) return false;
  while (colon > host && *colon != ':') colon--;
  const char *host_end = colon;
  if (host_end > host + 1 && *host == '[' && host_end[-1] == ']') host++, host_end--;
  size_t host_len = (size_t)(host_end - host), port_len = colon < end ? (size_t)(end - colon - 1) : 0;
  if (colon <= host || host_len == 0 || host_len > HOST_NAME_MAX_BYTES || port_len == 0 || port_len > 5) return false;
  unsigned port = 0;
  for (const char *digit = colon + 1; digit < end; digit++) {
    if (*digit < '0' || *digit > '9') return false;
    port = port * 10 + (unsigned)(*digit - '0');
  }
  if (port == 0 || port > 65535) return false;
  *ret = (struct network_authority){.port = (uint16_t)port};
  memcpy(ret->name, text, (size_t)(equals - text));
  memcpy(ret->host, host, host_len);
  return true;
}

/* The authority's folder with its keys. The ring is the caller's. */
static enum outcome make_keys(const struct folder *folder, const char *name, struct random_stream *random, struct key_ring *ret,
                              struct complaint *complaint) {
  char path[PATH_BYTES];
  struct folder *own;
  if (snprintf(path, sizeof path, "%s/%s", folder_path(folder), name) >= (int)sizeof path) return OUTCOME_BAD_SETTING;
  enum outcome outcome = folder_open(path, &own, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = key_ring_open(own, 1U << KEY_IDENTITY | 1U << KEY_LINK, random, ret, NULL, complaint);
  folder_close(own);
  return outcome;
}

/* All but the keys. */
static void describe(struct network_file *file, const struct init_wishes *wishes, struct date now) {
  *file = (struct network_file){.serial = 1, .is_lab = !wishes->is_production, .created = now, .expires = date_after(now, NETWORK_LIFE_MS)};
  snprintf(file->name, sizeof file->name, "%s", wishes->name);
  if (wishes->is_production) network_timing_production(&file->timing);
  else network_timing_lab(&file->timing);
  file->authority_count = wishes->authority_count;
  for (uint32_t i = 0; i < file->authority_count; i++) file->authorities[i] = wishes->authorities[i];
}

static void put_keys(struct network_file *file, const struct key_ring *rings, struct random_stream *random) {
  random_bytes(random, file->id, sizeof file->id);
  for (uint32_t i = 0; i < file->authority_count; i++) {
    key_ring_public(&rings[i], KEY_IDENTITY, file->authorities[i].identity);
    key_ring_public(&rings[i], KEY_LINK, file->authorities[i].link_key);
  }
}

/* What the grammar does not take is found with keys that are nobody's, before there are any. */
static enum outcome check_grammar(const struct init_wishes *wishes, struct complaint *complaint) {
  struct network_file file, again;
  char *text = malloc(LIMIT_NETWORK_FILE_BYTES);
  if (text == NULL) return OUTCOME_NO_MEMORY;
  describe(&file, wishes, (struct date){0});
  for (uint32_t i = 0; i < file.authority_count; i++) {
    memset(file.authorities[i].identity, (int)i, sizeof file.authorities[i].identity);
    memset(file.authorities[i].link_key, (int)i, sizeof file.authorities[i].link_key);
  }
  size_t len = network_file_format(&file, text, LIMIT_NETWORK_FILE_BYTES);
  bool is_fine = len > 0 && network_file_read_draft((const uint8_t *)text, len, &again, NULL, NULL) == OUTCOME_OK;
  free(text);
  if (is_fine) return OUTCOME_OK;
  complain(complaint, "A name or address can't stand in a network file: names have letters, digits, '-', '.' and '_' (an "
                      "authority's only letters, digits and '-'), and each authority has a place of its own.");
  return OUTCOME_BAD_SETTING;
}

/* Every authority signs: all keys are here now, and never again in one place. */
static size_t sign(const struct network_file *file, const struct key_ring *rings, char *text, size_t room) {
  size_t len = network_file_format(file, text, room);
  for (uint32_t i = 0; len > 0 && i < file->authority_count; i++)
    len = network_file_sign(text, len, room, rings[i].keys[KEY_IDENTITY]->bytes);
  return len;
}

/* What was written is what will be read. */
static enum outcome write_file(const struct folder *folder, const struct network_file *wished, const struct key_ring *rings,
                               struct network_file *ret, struct complaint *complaint) {
  char *text = malloc(LIMIT_NETWORK_FILE_BYTES);
  if (text == NULL) return OUTCOME_NO_MEMORY;
  size_t len = sign(wished, rings, text, LIMIT_NETWORK_FILE_BYTES);
  enum outcome outcome = len == 0 ? OUTCOME_TOO_LARGE : network_file_parse((const uint8_t *)text, len, ret, NULL);
  if (outcome == OUTCOME_OK) outcome = folder_write(folder, NETWORK_FILE, text, len, false, complaint);
  free(text);
  return outcome;
}

static enum outcome check_new(const struct folder *folder, struct complaint *complaint) {
  struct document *document;
  enum outcome outcome = folder_read(folder, NETWORK_FILE, LIMIT_NETWORK_FILE_BYTES, &document, NULL);
  if (outcome == OUTCOME_NOT_FOUND) return OUTCOME_OK;
  if (outcome == OUTCOME_OK) document_release(document);
  complain(complaint, "%s/%s exists, and a network is never overwritten. Choose another folder.", folder_path(folder), NETWORK_FILE);
  return OUTCOME_BAD_SETTING;
}

enum outcome init_check(const struct init_wishes *wishes, struct complaint *complaint) {
  if (wishes->authority_count == 0) {
    complain(complaint, "A network needs at least one authority.");
    return OUTCOME_BAD_SETTING;
  }
  if (strlen(wishes->name) > NETWORK_NAME_MAX) {
    complain(complaint, "The name `%.80s` has more than %d characters.", wishes->name, NETWORK_NAME_MAX);
    return OUTCOME_BAD_SETTING;
  }
  for (uint32_t i = 0; i < wishes->authority_count; i++)
    if (wishes->authorities[i].name[0] == '.' || strchr(wishes->authorities[i].name, '/') != NULL) {
      complain(complaint, "`%s` can't be an authority's name, which is also its folder's.", wishes->authorities[i].name);
      return OUTCOME_BAD_SETTING;
    }
  return check_grammar(wishes, complaint);
}

enum outcome init_network(const struct folder *folder, const struct init_wishes *wishes, struct date now,
                          struct random_stream *random, struct network_file *ret, struct complaint *complaint) {
  struct key_ring rings[LIMIT_AUTHORITIES] = {{{NULL}}};
  enum outcome outcome = init_check(wishes, complaint);
  if (outcome == OUTCOME_OK) outcome = check_new(folder, complaint);
  for (uint32_t i = 0; outcome == OUTCOME_OK && i < wishes->authority_count; i++)
    outcome = make_keys(folder, wishes->authorities[i].name, random, &rings[i], complaint);
  if (outcome == OUTCOME_OK) {
    struct network_file wished;
    describe(&wished, wishes, now);
    put_keys(&wished, rings, random);
    outcome = write_file(folder, &wished, rings, ret, complaint);
  }
  for (uint32_t i = 0; i < wishes->authority_count; i++) key_ring_close(&rings[i]);
  return outcome;
}

enum outcome init_read_network(const char *path, struct network_file *ret, struct complaint *complaint) {
  struct document *document;
  uint32_t line;
  enum outcome outcome = file_read(path, LIMIT_NETWORK_FILE_BYTES, &document, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = network_file_parse(document_bytes(document), document_len(document), ret, &line);
  document_release(document);
  if (outcome != OUTCOME_OK) driver_complain_network(path, outcome, line, complaint);
  return outcome;
}
