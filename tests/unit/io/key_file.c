#include "io/key_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/seed.h"

enum { ALL = 1 << KEY_IDENTITY | 1 << KEY_LINK | 1 << KEY_SIGNING };

struct place { char path[64]; struct folder *folder; struct random_stream random; };

static struct place place_new(const char *test) {
  struct place place = {.path = "/tmp/tunic-key-file-XXXXXX"};
  cr_assert(crypto_start());
  cr_assert_not_null(mkdtemp(place.path));
  cr_assert(folder_open(place.path, &place.folder, NULL) == OUTCOME_OK);
  place.random = test_random(test);
  return place;
}

static void in_place(const struct place *place, const char *name, char ret_path[128]) {
  snprintf(ret_path, 128, "%s/%s", place->path, name);
}

static void place_free(struct place *place) {
  const char *names[] = {"secret-identity", "secret-link", "secret-signing"};
  for (int i = 0; i < 3; i++) folder_remove(place->folder, names[i], NULL);
  folder_close(place->folder);
  rmdir(place->path);
}

static void write_text(const struct place *place, const char *name, const char *text) {
  cr_assert(folder_write(place->folder, name, text, strlen(text), true, NULL) == OUTCOME_OK);
}

static enum outcome open_all(const struct place *place, struct complaint *complaint) {
  struct key_ring ring;
  enum outcome outcome = key_ring_open(place->folder, ALL, NULL, &ring, NULL, complaint);
  key_ring_close(&ring);
  return outcome;
}

Test(key_file, keys_are_made_once_and_stay_the_same) {
  struct place place = place_new("keys_are_made_once_and_stay_the_same");
  struct key_ring first, second;
  uint32_t made;
  cr_assert(key_ring_open(place.folder, ALL, &place.random, &first, &made, NULL) == OUTCOME_OK);
  cr_assert(made == ALL);
  cr_assert(key_ring_open(place.folder, ALL, &place.random, &second, &made, NULL) == OUTCOME_OK);
  cr_assert(made == 0);
  for (int i = 0; i < KEY_PURPOSES; i++) cr_assert_arr_eq(first.keys[i]->bytes, second.keys[i]->bytes, 32);
  key_ring_close(&first);
  key_ring_close(&second);
  place_free(&place);
}

Test(key_file, what_is_missing_is_named_or_made_beside_what_is_there) {
  struct place place = place_new("what_is_missing_is_named_or_made_beside_what_is_there");
  struct key_ring ring;
  struct complaint complaint;
  uint32_t made;
  cr_assert(open_all(&place, &complaint) == OUTCOME_NOT_FOUND);
  cr_assert_not_null(strstr(complaint.text, "secret-identity"));
  cr_assert(key_ring_open(place.folder, 1 << KEY_LINK, &place.random, &ring, &made, NULL) == OUTCOME_OK);
  cr_assert_null(ring.keys[KEY_IDENTITY]);
  key_ring_close(&ring);
  cr_assert(key_ring_open(place.folder, ALL, &place.random, &ring, &made, NULL) == OUTCOME_OK);
  cr_assert(made == (1 << KEY_IDENTITY | 1 << KEY_SIGNING));
  key_ring_close(&ring);
  place_free(&place);
}

Test(key_file, a_key_others_can_read_is_refused_with_the_command_that_mends_it) {
  struct place place = place_new("a_key_others_can_read_is_refused_with_the_command_that_mends_it");
  struct key_ring ring;
  struct complaint complaint;
  char path[128], command[160];
  cr_assert(key_ring_open(place.folder, ALL, &place.random, &ring, NULL, NULL) == OUTCOME_OK);
  key_ring_close(&ring);
  in_place(&place, "secret-link", path);
  snprintf(command, sizeof command, "chmod 600 %s", path);
  struct stat stat_of;
  cr_assert(stat(path, &stat_of) == 0 && (stat_of.st_mode & 0777) == 0600);
  cr_assert(chmod(path, 0640) == 0);
  cr_assert(open_all(&place, &complaint) == OUTCOME_BAD_SETTING);
  cr_assert_not_null(strstr(complaint.text, command));
  cr_assert(chmod(path, 0600) == 0);
  cr_assert(open_all(&place, NULL) == OUTCOME_OK);
  place_free(&place);
}

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* [KEYFILE-1] */
Test(key_file, anything_but_the_one_text_is_refused_and_left_alone) {
  struct place place = place_new("anything_but_the_one_text_is_refused_and_left_alone");
  static const char *const BAD[] = {
      "",
      "tunic-secret-key 1\npurpose link\nkey " HEX_A "\n",
      "tunic-secret-key 2\npurpose identity\nkey " HEX_A "\n",
      "tunic-secret-key 1\npurpose identity\nkey " HEX_A,
      "tunic-secret-key 1\npurpose identity\nkey " HEX_A "\n\n",
      "tunic-secret-key 1\npurpose identity\nkey 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n",
      "tunic-secret-key 1\npurpose identity\nkey g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
      "tunic-secret-key 1\npurpose identity\nkey " HEX_A " ",
  };
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
    struct key_ring ring;
    struct document *after;
    write_text(&place, "secret-identity", BAD[i]);
    cr_assert(key_ring_open(place.folder, 1 << KEY_IDENTITY, &place.random, &ring, NULL, NULL) == OUTCOME_BAD_DOCUMENT, "%zu", i);
    cr_assert(folder_read(place.folder, "secret-identity", 4096, &after, NULL) == OUTCOME_OK);
    cr_assert(document_len(after) == strlen(BAD[i]) && memcmp(document_bytes(after), BAD[i], strlen(BAD[i])) == 0);
    document_release(after);
  }
  place_free(&place);
}

/* [KEYFILE-3] */
Test(key_file, one_key_for_two_purposes_is_refused) {
  struct place place = place_new("one_key_for_two_purposes_is_refused");
  struct complaint complaint;
  write_text(&place, "secret-identity", "tunic-secret-key 1\npurpose identity\nkey " HEX_A "\n");
  struct key_ring ring;
  write_text(&place, "secret-link", "tunic-secret-key 1\npurpose link\nkey " HEX_A "\n");
  cr_assert(key_ring_open(place.folder, 1 << KEY_IDENTITY | 1 << KEY_LINK, NULL, &ring, NULL, &complaint) == OUTCOME_BAD_DOCUMENT);
  cr_assert_not_null(strstr(complaint.text, "same"));
  place_free(&place);
}

Test(key_file, the_public_halves_are_those_of_the_secrets) {
  struct place place = place_new("the_public_halves_are_those_of_the_secrets");
  struct key_ring ring;
  uint8_t public_key[32], signature[ED25519_SIGNATURE_BYTES];
  cr_assert(key_ring_open(place.folder, ALL, &place.random, &ring, NULL, NULL) == OUTCOME_OK);
  key_ring_public(&ring, KEY_IDENTITY, public_key);
  signature_make(signature, ring.keys[KEY_IDENTITY]->bytes, "test", (const uint8_t *)"abc", 3);
  cr_assert(signature_is_valid(signature, public_key, "test", (const uint8_t *)"abc", 3));
  uint8_t ours[32], theirs[32], peer[32] = {9, 8, 7}, peer_public[32];
  x25519_public(peer_public, peer);
  key_ring_public(&ring, KEY_LINK, public_key);
  cr_assert(x25519_shared(ours, ring.keys[KEY_LINK]->bytes, peer_public) && x25519_shared(theirs, peer, public_key));
  cr_assert_arr_eq(ours, theirs, 32);
  key_ring_close(&ring);
  place_free(&place);
}

Test(key_file, a_key_is_replaced_only_when_that_is_asked_for) {
  struct place place = place_new("a_key_is_replaced_only_when_that_is_asked_for");
  struct key_ring ring, again;
  uint8_t before[KEY_PURPOSES][32];
  cr_assert(key_ring_open(place.folder, ALL, &place.random, &ring, NULL, NULL) == OUTCOME_OK);
  for (int i = 0; i < KEY_PURPOSES; i++) memcpy(before[i], ring.keys[i]->bytes, 32);
  cr_assert(key_ring_replace(place.folder, KEY_SIGNING, &place.random, &ring, NULL) == OUTCOME_OK);
  cr_expect(memcmp(before[KEY_SIGNING], ring.keys[KEY_SIGNING]->bytes, 32) != 0);
  cr_assert(key_ring_open(place.folder, ALL, NULL, &again, NULL, NULL) == OUTCOME_OK);
  cr_expect_arr_eq(again.keys[KEY_SIGNING]->bytes, ring.keys[KEY_SIGNING]->bytes, 32);
  cr_expect_arr_eq(again.keys[KEY_IDENTITY]->bytes, before[KEY_IDENTITY], 32);
  cr_expect_arr_eq(again.keys[KEY_LINK]->bytes, before[KEY_LINK], 32);
  key_ring_close(&ring);
  key_ring_close(&again);
  place_free(&place);
}
