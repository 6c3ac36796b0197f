/* A node's long-term secret keys on disk: one small text file for each, made once, readable by their owner alone.
 * Spec: specs/key-files.md [KEYFILE-*]. Called by the main files of relay/ and directory/, and by network/.
 * Never overwrites a key unasked, never takes one whose file others can read, never lets one key serve two purposes.
 */
#ifndef TUNIC_IO_KEY_FILE_H
#define TUNIC_IO_KEY_FILE_H

#include "crypto/keys.h"
#include "io/files.h"
#include "protocol/random.h"

/* What a key is for; its file in the node's folder is called secret-PURPOSE. */
enum key_purpose { KEY_IDENTITY, KEY_LINK, KEY_SIGNING };
enum { KEY_PURPOSES = 3 };

/* A node's keys, in guarded memory; NULL where it has none for a purpose. */
struct key_ring { struct guarded_key *keys[KEY_PURPOSES]; };

const char *key_purpose_name(enum key_purpose);

/* Reads the keys of all purposes in `wanted` (bits 1 << purpose) from the folder and, with a stream of randomness, makes
 * those that are missing; *ret_made (may be NULL) has their bits. Without one a missing key is NOT_FOUND. BAD_DOCUMENT: not a
 * key file for that purpose, or one key for two purposes; BAD_SETTING: others may read it. Not OK: the ring is empty. */
enum outcome key_ring_open(const struct folder *, uint32_t wanted, struct random_stream *, struct key_ring *ret,
                           uint32_t *ret_made, struct complaint *);
/* A new key for this purpose in place of the one that the folder may hold, into the ring too. Not OK: the old one stays. */
enum outcome key_ring_replace(const struct folder *, enum key_purpose, struct random_stream *, struct key_ring *, struct complaint *);
void key_ring_close(struct key_ring *); /* wipes; an empty ring is allowed */

/* The public halves: Ed25519 for identity and signing, X25519 for link. The ring holds the key. */
void key_ring_public(const struct key_ring *, enum key_purpose, uint8_t ret_public[32]);

#endif
