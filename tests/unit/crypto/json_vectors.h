/* Reads test vectors: JSON files under tests/vectors, whose byte strings are hexadecimal.
 * Source of each file: tests/vectors/README.md. Called by the tests of this folder, run from the top folder.
 * A file or a field that is missing fails the test, so no vector is passed over in silence.
 * Never writes past the length it is given. Caller frees what it loads with json_decref.
 */
#ifndef TUNIC_TESTS_UNIT_CRYPTO_JSON_VECTORS_H
#define TUNIC_TESTS_UNIT_CRYPTO_JSON_VECTORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

json_t *json_vectors_load(const char *path);

/* The string in `field`, or "" if there is none. */
const char *json_vectors_text(const json_t *test, const char *field);

/* The bytes in `field`. The length, or `max` + 1 (and nothing written past max) if there are more; 0 if no
 * such field. */
size_t json_vectors_bytes(const json_t *test, const char *field, uint8_t *ret_bytes, size_t max);

/* The bytes in `field`, if there are exactly `len`. */
bool json_vectors_exact(const json_t *test, const char *field, uint8_t *ret_bytes, size_t len);

#endif
