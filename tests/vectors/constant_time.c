/* [KEM-8] [KEY-6] Runs functions that handle secrets under valgrind's memcheck with every secret marked as undefined memory:
 * a branch or an address that depends on one is then an error, which valgrind counts and this program asks
 * for after each check. One line a check; exit code 0 if all are as they should be. See constant_time.sh.
 *
 * To add a function: write a check that marks its secrets with `secret`, calls it, and marks as public with
 * `publish` what the protocol sends or shows, and nothing else; `still_secret` shows that the marks went all
 * the way through. Then give it a line in the table. ONE_BRANCH is for what a library asks once and may ask:
 * exactly one branch, whatever the secret. The checks whose line says LEAKS are planted: valgrind has to find
 * something in each, or the whole method is broken. What this cannot see is an instruction whose own time
 * depends on its operands; the code has no division for that reason. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "crypto/aead.h"
#include "crypto/field25519.h"
#include "crypto/kdf.h"
#include "crypto/keys.h"
#include "crypto/mlkem768_implementation.h"

enum { TEXT_BYTES = 1386, SEALED_BYTES = TEXT_BYTES + AEAD_TAG_BYTES };

enum { S_BYTES = MLKEM768_K * MLKEM768_POLYNOMIAL_BYTES };

/* The AEADs; each of aead_checks runs on each of these. */
static const struct cipher {
  const char *name;
  enum aead_suite suite;
  enum aead_backend backend;
  bool leaves_comparing; /* the library hands the tag over, and nothing in it branches on the verdict */
} ciphers[] = {
    {", ChaCha20-Poly1305, libsodium", AEAD_CHACHA20_POLY1305, AEAD_LIBSODIUM, false},
    {", ChaCha20-Poly1305, libcrypto", AEAD_CHACHA20_POLY1305, AEAD_LIBCRYPTO, false},
    {", AES-256-GCM, libsodium", AEAD_AES256_GCM, AEAD_LIBSODIUM, false},
    {", AES-256-GCM, libcrypto", AEAD_AES256_GCM, AEAD_LIBCRYPTO, false},
    {", AES-256-GCM, ipsec-mb", AEAD_AES256_GCM, AEAD_IPSEC_MB, true},
};

/* What the checks work on; filled with plain values before anything is marked. */
struct values {
  const struct mlkem768_implementation *on;
  uint8_t key_seed[MLKEM768_KEY_SEED_BYTES], seed[MLKEM768_ENCAPS_SEED_BYTES];
  uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], secret_key[MLKEM768_SECRET_KEY_BYTES];
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], shared[MLKEM768_SHARED_BYTES];

  const struct cipher *cipher;
  uint8_t key[32], other_key[32], peer_public[32], result[KDF_HASH_BYTES], sealed[SEALED_BYTES];
  char hex[2 * 32 + 1];
};

static void secret(void *bytes, size_t len) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, len);
}

/* False if nothing in the bytes is undefined any more: then the check before it has proved nothing. */
static bool still_secret(const uint8_t *bytes, size_t len) {
  uint8_t marks[MLKEM768_SECRET_KEY_BYTES] = {0};
  if (VALGRIND_GET_VBITS(bytes, marks, len) != 1) return false;
  return !sodium_is_zero(marks, len);
}

static void publish(const void *bytes, size_t len) {
  (void)VALGRIND_MAKE_MEM_DEFINED(bytes, len);
}

/* FIPS 203 publishes the public key alone. Whether it is canonical may then be branched on. */
static bool check_keypair(struct values *v) {
  secret(v->key_seed, sizeof v->key_seed);
  mlkem768_keypair_on(v->on, v->public_key, v->secret_key, v->key_seed);
  publish(v->public_key, sizeof v->public_key);
  return mlkem768_public_key_is_canonical(v->public_key) && still_secret(v->secret_key, S_BYTES) &&
         still_secret(v->secret_key + sizeof v->secret_key - MLKEM768_SEED_BYTES, MLKEM768_SEED_BYTES);
}

/* The key is public from the beginning; the ciphertext afterwards, the secret never. */
static bool check_encapsulate(struct values *v) {
  secret(v->seed, sizeof v->seed);
  return mlkem768_encapsulate_on(v->on, v->ciphertext, v->shared, v->public_key, v->seed) &&
         still_secret(v->shared, sizeof v->shared);
}

/* Of the secret key, the copy of the public key and its hash are public; s and z are not. */
static void mark_secret_key(struct values *v) {
  secret(v->secret_key, S_BYTES);
  secret(v->secret_key + sizeof v->secret_key - MLKEM768_SEED_BYTES, MLKEM768_SEED_BYTES);
}

static bool check_decapsulate(struct values *v) {
  mark_secret_key(v);
  mlkem768_decapsulate_on(v->on, v->shared, v->ciphertext, v->secret_key);
  return still_secret(v->shared, sizeof v->shared);
}

static bool check_decapsulate_rejected(struct values *v) {
  v->ciphertext[0] ^= 1;
  return check_decapsulate(v);
}

static bool leak_by_branch(struct values *v) {
  static volatile int answer;
  bool marked = check_decapsulate(v);
  if (v->shared[0] & 1) answer = answer + 1;
  return marked;
}

static bool leak_by_index(struct values *v) {
  static volatile uint8_t table[256];
  mark_secret_key(v);
  v->shared[0] = table[v->secret_key[0]];
  return true;
}

/* What telling a rejected ciphertext from a good one would be. */
static bool leak_by_comparison(struct values *v) {
  static volatile int answer;
  uint8_t right[MLKEM768_SHARED_BYTES];
  memcpy(right, v->shared, sizeof right);
  bool marked = check_decapsulate(v);
  if (memcmp(right, v->shared, sizeof right) == 0) answer = answer + 1;
  return marked;
}

/* libsodium asks whether the result is the identity, which no clamped scalar gives: the one branch. */
static bool check_x25519_public(struct values *v) {
  secret(v->key, sizeof v->key);
  x25519_public(v->result, v->key);
  return still_secret(v->result, X25519_BYTES);
}

static bool check_x25519_shared(struct values *v) {
  secret(v->key, sizeof v->key);
  return x25519_shared(v->result, v->key, v->peer_public) && still_secret(v->result, X25519_BYTES);
}

/* The point 0: refused, and as quietly. */
static bool check_x25519_small_order(struct values *v) {
  memset(v->peer_public, 0, sizeof v->peer_public);
  secret(v->key, sizeof v->key);
  return !x25519_shared(v->result, v->key, v->peer_public);
}

static bool seal(struct values *v) {
  struct aead aead = {0};
  if (!aead_init(&aead, v->cipher->suite, v->cipher->backend, v->key)) return false;
  aead_seal(&aead, 1, NULL, 0, v->sealed, TEXT_BYTES);
  aead_wipe(&aead);
  return true;
}

static bool open_sealed(struct values *v) {
  struct aead aead = {0};
  if (!aead_init(&aead, v->cipher->suite, v->cipher->backend, v->key)) return false;
  bool genuine = aead_open(&aead, 1, NULL, 0, v->sealed, SEALED_BYTES);
  aead_wipe(&aead);
  return genuine;
}

static bool check_seal(struct values *v) {
  secret(v->key, sizeof v->key);
  secret(v->sealed, TEXT_BYTES);
  return seal(v) && still_secret(v->sealed + TEXT_BYTES, AEAD_TAG_BYTES);
}

/* Most libraries end with a branch on the verdict, which is public; they must not look at the tag in steps. */
static bool check_open(struct values *v) {
  if (!seal(v)) return false;
  secret(v->key, sizeof v->key);
  return open_sealed(v) && still_secret(v->sealed, TEXT_BYTES);
}

static bool check_open_forged(struct values *v) {
  if (!seal(v)) return false;
  v->sealed[SEALED_BYTES - 1] ^= 1;
  secret(v->key, sizeof v->key);
  return !open_sealed(v);
}

static bool check_equal(struct values *v) {
  secret(v->key, sizeof v->key);
  bool is_same = bytes_equal_constant_time(v->key, v->key, sizeof v->key);
  bool is_other = bytes_equal_constant_time(v->key, v->other_key, sizeof v->key);
  bool is_zero = bytes_are_zero_constant_time(v->key, sizeof v->key);
  publish(&is_same, sizeof is_same);
  publish(&is_other, sizeof is_other);
  publish(&is_zero, sizeof is_zero);
  return is_same && !is_other && !is_zero;
}

static bool check_kdf(struct values *v) {
  secret(v->key, sizeof v->key);
  kdf_hmac(v->result, v->key, sizeof v->key, v->key, sizeof v->key);
  return still_secret(v->result, sizeof v->result);
}

static bool check_hex(struct values *v) {
  secret(v->key, sizeof v->key);
  hex_encode(v->hex, v->key, sizeof v->key);
  bool is_hex = hex_decode(v->result, sizeof v->key, v->hex, sizeof v->hex - 1);
  publish(&is_hex, sizeof is_hex);
  return is_hex && still_secret(v->result, sizeof v->key);
}

/* Equal bytes, so that every step of it is taken. */
static bool leak_by_steps(struct values *v) {
  memcpy(v->other_key, v->key, sizeof v->key);
  secret(v->key, sizeof v->key);
  for (size_t i = 0; i < sizeof v->key; i++)
    if (((volatile uint8_t *)v->key)[i] != v->other_key[i]) return false;
  return true;
}

enum verdict { CLEAN, ONE_BRANCH, LEAKS };

static const struct check {
  const char *name;
  bool (*run)(struct values *);
  const struct mlkem768_implementation *(*on)(void); /* NULL: it has nothing of ML-KEM */
  enum verdict expected;
} checks[] = {
    {"mlkem768_keypair, portable", check_keypair, mlkem768_portable, CLEAN},
    {"mlkem768_keypair, AVX2", check_keypair, mlkem768_avx2, CLEAN},
    {"mlkem768_encapsulate, portable", check_encapsulate, mlkem768_portable, CLEAN},
    {"mlkem768_encapsulate, AVX2", check_encapsulate, mlkem768_avx2, CLEAN},
    {"mlkem768_decapsulate, portable", check_decapsulate, mlkem768_portable, CLEAN},
    {"mlkem768_decapsulate, AVX2", check_decapsulate, mlkem768_avx2, CLEAN},
    {"mlkem768_decapsulate of a wrong ciphertext, portable", check_decapsulate_rejected, mlkem768_portable,
     CLEAN},
    {"mlkem768_decapsulate of a wrong ciphertext, AVX2", check_decapsulate_rejected, mlkem768_avx2, CLEAN},
    {"x25519_public", check_x25519_public, NULL, FIELD25519_BUILT ? ONE_BRANCH : CLEAN},
    {"x25519_shared", check_x25519_shared, NULL, CLEAN},
    {"x25519_shared with a point of small order", check_x25519_small_order, NULL, CLEAN},
    {"bytes_equal_constant_time", check_equal, NULL, CLEAN},
    {"kdf_hmac", check_kdf, NULL, CLEAN},
    {"hex_encode, hex_decode", check_hex, NULL, CLEAN},
    {"planted: a branch on the shared secret", leak_by_branch, mlkem768_portable, LEAKS},
    {"planted: an index from the secret key", leak_by_index, mlkem768_portable, LEAKS},
    {"planted: a comparison of the shared secret", leak_by_comparison, mlkem768_portable, LEAKS},
    {"planted: a comparison byte by byte", leak_by_steps, NULL, LEAKS},
};

static const struct check aead_checks[] = {
    {"aead_seal", check_seal, NULL, CLEAN},
    {"aead_open", check_open, NULL, ONE_BRANCH},
    {"aead_open of a wrong tag", check_open_forged, NULL, ONE_BRANCH},
};

/* Plain values everywhere, so that nothing is undefined but what a check marks. */
static bool prepare(struct values *ret, const struct cipher *cipher, const struct mlkem768_implementation *on) {
  memset(ret, 0, sizeof *ret);
  ret->on = on;
  ret->cipher = cipher;
  randombytes_buf(ret->key, sizeof ret->key);
  randombytes_buf(ret->other_key, sizeof ret->other_key);
  x25519_public(ret->peer_public, ret->other_key);
  if (!on) return true;
  randombytes_buf(ret->key_seed, sizeof ret->key_seed);
  randombytes_buf(ret->seed, sizeof ret->seed);
  mlkem768_keypair_on(on, ret->public_key, ret->secret_key, ret->key_seed);
  return mlkem768_encapsulate_on(on, ret->ciphertext, ret->shared, ret->public_key, ret->seed);
}

/* aead_init takes another library where the one asked for lacks the suite. */
static bool is_built(const struct cipher *cipher) {
  static const uint8_t key[AEAD_KEY_BYTES];
  struct aead aead = {0};
  bool has = aead_init(&aead, cipher->suite, cipher->backend, key) && aead.backend == cipher->backend;
  aead_wipe(&aead);
  return has;
}

static bool errors_are_as_expected(unsigned errors, enum verdict expected) {
  switch (expected) {
  case CLEAN: return errors == 0;
  case ONE_BRANCH: return errors == 1;
  case LEAKS: return errors > 0;
  }
  return false;
}

/* Whether the check came out as its line expects; cipher is NULL for what has nothing of an AEAD. What this
 * processor or build lacks is named, not passed over in silence. */
static bool run(const struct check *check, const struct cipher *cipher) {
  static struct values values;
  const struct mlkem768_implementation *on = check->on ? check->on() : NULL;
  char name[64];
  snprintf(name, sizeof name, "%s%s", check->name, cipher ? cipher->name : "");
  if ((check->on && !on) || (cipher && !is_built(cipher))) {
    printf("%-56s skipped: not on this processor, or not built\n", name);
    return true;
  }
  if (!prepare(&values, cipher, on)) return false;
  unsigned before = VALGRIND_COUNT_ERRORS;
  bool marked = check->run(&values);
  unsigned errors = VALGRIND_COUNT_ERRORS - before;
  publish(&values, sizeof values);
  bool leaves_comparing = cipher && cipher->leaves_comparing && check->expected == ONE_BRANCH;
  bool as_expected = marked && errors_are_as_expected(errors, leaves_comparing ? CLEAN : check->expected);
  printf("%-56s %u errors%s%s\n", name, errors, marked ? "" : ", MARKS LOST",
         as_expected ? "" : "  <-- WRONG");
  return as_expected;
}

int main(void) {
  if (!RUNNING_ON_VALGRIND || !crypto_start()) {
    fputs("Run this under valgrind: tests/vectors/constant_time.sh\n", stderr);
    return 2;
  }
  size_t wrong = 0;
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) wrong += !run(&checks[i], NULL);
  for (size_t i = 0; i < sizeof aead_checks / sizeof *aead_checks; i++)
    for (size_t j = 0; j < sizeof ciphers / sizeof *ciphers; j++) wrong += !run(&aead_checks[i], &ciphers[j]);
  return wrong > 0;
}
