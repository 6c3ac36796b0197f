/* Runs functions that handle secrets under valgrind's memcheck with every secret marked as undefined memory:
 * a branch or an address that depends on one is then an error, which valgrind counts and this program asks
 * for after each check. One line a check; exit code 0 if all are as they should be. See constant_time.sh.
 *
 * To add a function: write a check that marks its secrets with `secret`, calls it, and marks as public with
 * `publish` what the protocol sends or shows, and nothing else; `still_secret` shows that the marks went all
 * the way through. Then give it a line in the table. The checks whose line says LEAKS are planted: valgrind
 * has to find something in each, or the whole method is broken. What this cannot see is an instruction whose
 * own time depends on its operands; the code has no division for that reason. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "crypto/mlkem768_implementation.h"

enum { S_BYTES = MLKEM768_K * MLKEM768_POLYNOMIAL_BYTES };

/* What the checks work on; filled with plain values before anything is marked. */
struct values {
  const struct mlkem768_implementation *on;
  uint8_t key_seed[MLKEM768_KEY_SEED_BYTES], seed[MLKEM768_ENCAPS_SEED_BYTES];
  uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], secret_key[MLKEM768_SECRET_KEY_BYTES];
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], shared[MLKEM768_SHARED_BYTES];
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

enum verdict { CLEAN, LEAKS };

static const struct check {
  const char *name;
  bool (*run)(struct values *);
  const struct mlkem768_implementation *(*on)(void);
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
    {"planted: a branch on the shared secret", leak_by_branch, mlkem768_portable, LEAKS},
    {"planted: an index from the secret key", leak_by_index, mlkem768_portable, LEAKS},
    {"planted: a comparison of the shared secret", leak_by_comparison, mlkem768_portable, LEAKS},
};

/* Plain values everywhere, so that nothing is undefined but what a check marks. */
static bool prepare(struct values *ret, const struct mlkem768_implementation *on) {
  memset(ret, 0, sizeof *ret);
  ret->on = on;
  randombytes_buf(ret->key_seed, sizeof ret->key_seed);
  randombytes_buf(ret->seed, sizeof ret->seed);
  mlkem768_keypair_on(on, ret->public_key, ret->secret_key, ret->key_seed);
  return mlkem768_encapsulate_on(on, ret->ciphertext, ret->shared, ret->public_key, ret->seed);
}

/* Whether the check came out as its line expects. A processor without AVX2 is named, not passed over in
 * silence. */
static bool run(const struct check *check) {
  static struct values values;
  const struct mlkem768_implementation *on = check->on();
  if (!on) {
    printf("%-56s skipped: not on this processor\n", check->name);
    return true;
  }
  if (!prepare(&values, on)) return false;
  unsigned before = VALGRIND_COUNT_ERRORS;
  bool marked = check->run(&values);
  unsigned errors = VALGRIND_COUNT_ERRORS - before;
  publish(&values, sizeof values);
  bool as_expected = marked && (errors > 0) == (check->expected == LEAKS);
  printf("%-56s %u errors%s%s\n", check->name, errors, marked ? "" : ", MARKS LOST",
         as_expected ? "" : "  <-- WRONG");
  return as_expected;
}

int main(void) {
  if (!RUNNING_ON_VALGRIND || sodium_init() < 0) {
    fputs("Run this under valgrind: tests/vectors/constant_time.sh\n", stderr);
    return 2;
  }
  size_t wrong = 0;
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) wrong += !run(&checks[i]);
  return wrong > 0;
}
