#include "network/serial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "directory/driver.h"
#include "directory/network_chain.h"
#include "io/control_client.h"
#include "io/control_socket.h"
#include "io/entropy.h"
#include "io/key_file.h"
#include "io/loop.h"
#include "network/init.h"
#include "network/interrupt.h"

enum { PATH_BYTES = 4096, LOOK_EVERY_MS = 50 };
#define INSTALL_TIME (5 * SECONDS)

/* ---- files ---- */

/* The network file in a folder, if it is one. */
static enum outcome read_text(const char *path, struct document **ret, struct complaint *complaint) {
  char inside[PATH_BYTES];
  struct stat what;
  bool is_folder = stat(path, &what) == 0 && S_ISDIR(what.st_mode);
  if (is_folder && snprintf(inside, sizeof inside, "%s/%s", path, NETWORK_FILE) < (int)sizeof inside) path = inside;
  return file_read(path, NETWORK_CHAIN_BYTES, ret, complaint);
}

/* The newest of the texts in it. */
static enum outcome read_newest(const char *path, struct network_file *ret, struct complaint *complaint) {
  struct document *text;
  enum outcome outcome = read_text(path, &text, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  struct network_chain *chain = network_chain_new(document_bytes(text), document_len(text), &outcome, NULL);
  document_release(text);
  if (chain != NULL) *ret = *network_chain_newest(chain);
  else driver_complain_network(path, outcome, 0, complaint);
  network_chain_free(chain);
  return outcome;
}

static enum outcome read_draft(const char *path, struct document **ret_text, struct network_file *ret, struct network_signers *ret_signers,
                               struct complaint *complaint) {
  uint32_t line;
  enum outcome outcome = read_text(path, ret_text, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = network_file_read_draft(document_bytes(*ret_text), document_len(*ret_text), ret, ret_signers, &line);
  if (outcome == OUTCOME_OK) return OUTCOME_OK;
  driver_complain_network(path, outcome, line, complaint);
  document_release(*ret_text);
  return outcome;
}

static enum outcome write_text(const char *path, const char *text, size_t len, struct complaint *complaint) {
  char parent[PATH_BYTES];
  struct folder *folder;
  const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  size_t parent_len = slash == NULL ? 0 : (size_t)(slash - path);
  if (parent_len >= sizeof parent) return OUTCOME_BAD_SETTING;
  snprintf(parent, sizeof parent, "%.*s", (int)(slash == path ? 1 : parent_len), path);
  enum outcome outcome = folder_open(slash == NULL ? "." : parent, &folder, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = folder_write(folder, name, text, len, false, complaint);
  folder_close(folder);
  return outcome;
}

/* ---- the next serial ---- */

static int find_name(const struct network_file *file, const char *name) {
  for (uint32_t i = 0; i < file->authority_count; i++)
    if (strcmp(file->authorities[i].name, name) == 0) return (int)i;
  return -1;
}

static enum outcome change(struct network_file *file, const struct serial_wishes *wishes, struct complaint *complaint) {
  const struct network_authority *wished = &wishes->authority;
  int at = find_name(file, wished->name);
  if (wishes->change != SERIAL_RENEW && (at >= 0) == (wishes->change == SERIAL_ADD)) {
    complain(complaint, "%s has %s authority %s.", wishes->network_path, at >= 0 ? "already an" : "no", wished->name);
    return OUTCOME_BAD_SETTING;
  }
  switch (wishes->change) {
  case SERIAL_ADD:
    if (file->authority_count == LIMIT_AUTHORITIES) {
      complain(complaint, "A network has at most %d authorities.", LIMIT_AUTHORITIES);
      return OUTCOME_BAD_SETTING;
    }
    file->authorities[file->authority_count++] = *wished;
    return OUTCOME_OK;
  case SERIAL_REMOVE:
    if (file->authority_count == 1) {
      complain(complaint, "%s is the only authority.", wished->name);
      return OUTCOME_BAD_SETTING;
    }
    file->authority_count--;
    memmove(&file->authorities[at], &file->authorities[at + 1], (file->authority_count - (uint32_t)at) * sizeof file->authorities[0]);
    return OUTCOME_OK;
  case SERIAL_REPLACE_KEY:
    memcpy(file->authorities[at].identity, wished->identity, IDENTITY_BYTES);
    memcpy(file->authorities[at].link_key, wished->link_key, X25519_BYTES);
    if (wished->port == 0) return OUTCOME_OK;
    memcpy(file->authorities[at].host, wished->host, sizeof wished->host);
    file->authorities[at].port = wished->port;
    return OUTCOME_OK;
  case SERIAL_RENEW: return OUTCOME_OK;
  }
  return OUTCOME_BAD_SETTING;
}

static enum outcome check_out(const struct serial_wishes *wishes, struct complaint *complaint) {
  struct stat what;
  if (stat(wishes->out_path, &what) != 0) return OUTCOME_OK;
  complain(complaint, "%s exists: a network file is never overwritten. Choose another name.", wishes->out_path);
  return OUTCOME_BAD_SETTING;
}

/* What was written is what will be read: a wish that makes a bad file is found here, before it is on disk. */
static enum outcome write_draft(const struct network_file *file, const struct serial_wishes *wishes, struct complaint *complaint) {
  char *text = malloc(LIMIT_NETWORK_FILE_BYTES);
  struct network_file again;
  if (text == NULL) return OUTCOME_NO_MEMORY;
  size_t len = network_file_format(file, text, LIMIT_NETWORK_FILE_BYTES);
  enum outcome outcome = OUTCOME_BAD_SETTING;
  if (len == 0 || network_file_read_draft((const uint8_t *)text, len, &again, NULL, NULL) != OUTCOME_OK)
    complain(complaint, "This makes no network file: each authority has a name (letters, digits, '-'), a place and two keys of its own.");
  else outcome = write_text(wishes->out_path, text, len, complaint);
  free(text);
  return outcome;
}

/* [NET-9] */
enum outcome serial_make(const struct serial_wishes *wishes, struct date now, struct complaint *complaint) {
  struct network_file file;
  enum outcome outcome = check_out(wishes, complaint);
  if (outcome == OUTCOME_OK) outcome = read_newest(wishes->network_path, &file, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  if (wishes->at_epoch <= file.starts) {
    complain(complaint, "Serial %u itself starts at epoch %llu: the next one starts later.", file.serial, (unsigned long long)file.starts);
    return OUTCOME_BAD_SETTING;
  }
  memcpy(file.previous, file.digest, sizeof file.previous);
  file.serial++;
  file.starts = wishes->at_epoch;
  file.created = now;
  file.expires = date_after(now, NETWORK_LIFE_MS);
  outcome = change(&file, wishes, complaint);
  if (outcome == OUTCOME_OK) outcome = write_draft(&file, wishes, complaint);
  if (outcome == OUTCOME_OK)
    printf("%s is serial %u, from epoch %llu on. Each authority signs it in turn: tunic-network authority sign --network FILE --data DIR\n",
           wishes->out_path, file.serial, (unsigned long long)file.starts);
  return outcome;
}

/* ---- signatures ---- */

static const bool *find_signer(const struct network_signers *signers, const uint8_t identity[IDENTITY_BYTES]) {
  for (uint32_t i = 0; i < signers->count; i++)
    if (memcmp(signers->list[i].identity, identity, IDENTITY_BYTES) == 0) return &signers->list[i].is_valid;
  return NULL;
}

static enum outcome add_signature(const char *path, const struct document *draft, const struct guarded_key *key, struct complaint *complaint) {
  char *text = malloc(LIMIT_NETWORK_FILE_BYTES);
  if (text == NULL) return OUTCOME_NO_MEMORY;
  memcpy(text, document_bytes(draft), document_len(draft));
  size_t len = network_file_sign(text, document_len(draft), LIMIT_NETWORK_FILE_BYTES, key->bytes);
  enum outcome outcome = len == 0 ? OUTCOME_TOO_LARGE : write_text(path, text, len, complaint);
  free(text);
  return outcome;
}

static enum outcome open_identity(const char *data_path, struct key_ring *ret, struct complaint *complaint) {
  struct folder *folder;
  enum outcome outcome = folder_open(data_path, &folder, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = key_ring_open(folder, 1U << KEY_IDENTITY, NULL, ret, NULL, complaint);
  folder_close(folder);
  return outcome;
}

/* [NET-15] Two files of one serial with a quorum each would stop every node. */
static enum outcome note_signature(const char *data_path, const struct network_file *file, struct complaint *complaint) {
  char name[32], digest[2 * DIGEST_BYTES + 1];
  struct folder *folder;
  struct document *noted;
  enum outcome outcome = folder_open(data_path, &folder, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  snprintf(name, sizeof name, "signed-%u", file->serial);
  hex_encode(digest, file->digest, DIGEST_BYTES);
  outcome = folder_read(folder, name, sizeof digest, &noted, NULL);
  if (outcome == OUTCOME_NOT_FOUND) {
    outcome = folder_write(folder, name, digest, 2 * DIGEST_BYTES, false, complaint);
  } else {
    bool same = outcome == OUTCOME_OK && document_len(noted) == 2 * DIGEST_BYTES && memcmp(document_bytes(noted), digest, 2 * DIGEST_BYTES) == 0;
    if (outcome == OUTCOME_OK) document_release(noted);
    outcome = same ? OUTCOME_OK : OUTCOME_BAD_SETTING;
    if (!same)
      complain(complaint, "The authority in %s has signed another file of serial %u. Two that are complete stop every node (directory-split). Only if the other one was "
                          "thrown away before it was complete: remove %s/%s, and sign again.", data_path, file->serial, data_path, name);
  }
  folder_close(folder);
  return outcome;
}

enum outcome serial_sign(const char *path, const char *data_path, struct complaint *complaint) {
  struct network_file file;
  struct network_signers signers;
  struct document *draft;
  struct key_ring ring = {{NULL}};
  uint8_t identity[IDENTITY_BYTES];
  enum outcome outcome = open_identity(data_path, &ring, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = read_draft(path, &draft, &file, &signers, complaint);
  if (outcome == OUTCOME_OK) {
    key_ring_public(&ring, KEY_IDENTITY, identity);
    if (find_signer(&signers, identity) != NULL) {
      complain(complaint, "The authority in %s has signed %s already.", data_path, path);
      outcome = OUTCOME_STALE;
    } else if ((outcome = note_signature(data_path, &file, complaint)) == OUTCOME_OK) {
      outcome = add_signature(path, draft, ring.keys[KEY_IDENTITY], complaint);
    }
    document_release(draft);
  }
  key_ring_close(&ring);
  return outcome;
}

/* Its authorities, and how many signatures are missing. */
static uint32_t show_signers(const struct network_file *file, const struct network_signers *signers) {
  uint32_t quorum = authorities_quorum(file->authority_count), count = network_file_count_signers(file, signers);
  printf("serial %u: %u of %u authorities signed, %u are needed\n", file->serial, count, file->authority_count, quorum);
  for (uint32_t i = 0; i < file->authority_count; i++) {
    const bool *is_valid = find_signer(signers, file->authorities[i].identity);
    printf("  %-20s %s\n", file->authorities[i].name, is_valid == NULL ? "missing" : *is_valid ? "signed" : "not a valid signature");
  }
  return count < quorum ? quorum - count : 0;
}

static enum outcome show(const char *path, const struct network_file *file, const struct network_signers *signers, const char *previous_path,
                         struct complaint *complaint) {
  char expires[DATE_TEXT_BYTES];
  date_format(file->expires, expires);
  printf("network %s, serial %u, from epoch %llu on, expires %s\n", file->name, file->serial, (unsigned long long)file->starts, expires);
  uint32_t missing = show_signers(file, signers);
  for (uint32_t i = 0; i < signers->count; i++)
    if (!signers->list[i].is_valid) missing++;
  if (previous_path != NULL) {
    struct network_file previous;
    enum outcome outcome = read_newest(previous_path, &previous, complaint);
    if (outcome != OUTCOME_OK) return outcome;
    if (memcmp(file->previous, previous.digest, sizeof previous.digest) != 0) {
      complain(complaint, "%s does not follow %s.", path, previous_path);
      return OUTCOME_WRONG_NETWORK;
    }
    missing += show_signers(&previous, signers);
  } else if (file->serial > 1) {
    printf("serial %u: its authorities sign too; --previous FILE shows them\n", file->serial - 1);
  }
  if (missing == 0) return OUTCOME_OK;
  complain(complaint, "%s lacks signatures, or has bad ones.", path);
  advise(complaint, "Who is missing: tunic-network authority sign --network %s --data DIR. A signature that is not valid was made before the file was changed: undo that.", path);
  return OUTCOME_TOO_FEW_SIGNATURES;
}

enum outcome serial_show(const char *path, const char *previous_path, struct complaint *complaint) {
  struct network_file file;
  struct network_signers signers;
  struct document *draft;
  enum outcome outcome = read_draft(path, &draft, &file, &signers, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  document_release(draft);
  return show(path, &file, &signers, previous_path, complaint);
}

/* ---- handing it in ---- */

/* What the node says of its newest serial; 0: nothing. */
static json_int_t newest_serial(struct control_client *client, instant until, bool *ret_split, struct complaint *complaint) {
  json_t *answer;
  if (control_client_ask(client, "status", until, &answer, complaint) != OUTCOME_OK) return 0;
  json_int_t serial = json_integer_value(json_object_get(json_object_get(answer, "figures"), "newest_serial"));
  const char *cause = json_string_value(json_object_get(json_object_get(answer, "cause"), "name"));
  *ret_split = cause != NULL && strcmp(cause, outcome_name(OUTCOME_DIRECTORY_SPLIT)) == 0;
  json_decref(answer);
  return serial;
}

static enum outcome hand_in(const char *data_path, uint32_t serial, struct complaint *complaint) {
  struct control_client *client;
  json_t *answer;
  instant until = instant_after(loop_now(), INSTALL_TIME);
  enum outcome outcome = control_client_open(data_path, &client, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = control_client_ask(client, "network", until, &answer, complaint);
  if (outcome == OUTCOME_OK) {
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (error != NULL) complain(complaint, "%s", error);
    if (error != NULL) outcome = OUTCOME_BAD_SETTING;
    json_decref(answer);
  }
  json_int_t newest = 0;
  bool is_split = false;
  while (outcome == OUTCOME_OK && (newest = newest_serial(client, until, &is_split, complaint)) < (json_int_t)serial) {
    if (newest == 0 || loop_now() >= until) {
      complain(complaint, "The authority did not take serial %u: its log says why.", serial);
      outcome = OUTCOME_BAD_SETTING;
    }
    interrupt_wait(-1, -1, false, LOOK_EVERY_MS);
  }
  control_client_close(client);
  if (outcome != OUTCOME_OK || !is_split) return outcome;
  complain(complaint, "The authority in %s has stopped: it was given two files of one serial, or two consensuses of one epoch. Its status and its log say which.", data_path);
  return OUTCOME_DIRECTORY_SPLIT;
}

enum outcome serial_install(const char *path, const char *data_path, struct complaint *complaint) {
  struct network_file file;
  struct document *draft;
  struct folder *folder;
  enum outcome outcome = read_draft(path, &draft, &file, NULL, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = folder_open(data_path, &folder, complaint);
  if (outcome == OUTCOME_OK) {
    outcome = folder_write(folder, CONTROL_NETWORK_FILE, document_bytes(draft), document_len(draft), false, complaint);
    if (outcome == OUTCOME_OK) outcome = hand_in(data_path, file.serial, complaint);
    folder_remove(folder, CONTROL_NETWORK_FILE, NULL);
    folder_close(folder);
  }
  document_release(draft);
  if (outcome == OUTCOME_OK) printf("The authority in %s knows serial %u, and hands it on.\n", data_path, file.serial);
  return outcome;
}

enum outcome serial_make_keys(const char *data_path, struct complaint *complaint) {
  struct folder *folder;
  struct random_stream random;
  struct key_ring ring = {{NULL}};
  uint8_t seed[RANDOM_SEED_BYTES], identity[IDENTITY_BYTES], link_key[X25519_BYTES];
  char hex[2][2 * 32 + 1];
  enum outcome outcome = entropy_seed(seed);
  if (outcome == OUTCOME_OK) outcome = folder_open(data_path, &folder, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  random_init(&random, seed);
  bytes_wipe(seed, sizeof seed);
  outcome = key_ring_open(folder, 1U << KEY_IDENTITY | 1U << KEY_LINK, &random, &ring, NULL, complaint);
  if (outcome == OUTCOME_OK) {
    key_ring_public(&ring, KEY_IDENTITY, identity);
    key_ring_public(&ring, KEY_LINK, link_key);
    hex_encode(hex[0], identity, sizeof identity);
    hex_encode(hex[1], link_key, sizeof link_key);
    printf("--identity %s --link-key %s\n", hex[0], hex[1]);
  }
  key_ring_close(&ring);
  random_wipe(&random);
  folder_close(folder);
  return outcome;
}
