#include "tests/unit/crypto/json_vectors.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

json_t *json_vectors_load(const char *path) {
  json_error_t error;
  json_t *file = json_load_file(path, 0, &error);
  cr_assert_not_null(file, "%s:%d: %s", path, error.line, error.text);
  return file;
}

const char *json_vectors_text(const json_t *test, const char *field) {
  const char *text = json_string_value(json_object_get(test, field));
  return text ? text : "";
}

size_t json_vectors_bytes(const json_t *test, const char *field, uint8_t *ret_bytes, size_t max) {
  const char *text = json_vectors_text(test, field);
  size_t len = strlen(text) / 2;
  if (len > max) return max + 1;
  size_t written = 0;
  int failed = sodium_hex2bin(ret_bytes, max, text, strlen(text), NULL, &written, NULL);
  cr_assert(failed == 0 && written == len && strlen(text) % 2 == 0, "field %s is not hexadecimal", field);
  return len;
}

bool json_vectors_exact(const json_t *test, const char *field, uint8_t *ret_bytes, size_t len) {
  return json_vectors_bytes(test, field, ret_bytes, len) == len;
}
