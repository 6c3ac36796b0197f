/* Fuzzes dates: any bytes as a text, and any number as a date. */
#include <stdlib.h>
#include <string.h>

#include "protocol/instant.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds) {
  if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const struct date FIRST = {0}, LAST = {INT64_C(253402300799999)};
  char text[DATE_TEXT_BYTES];
  struct date date, back = {-1};
  if (date_parse((const char *)bytes, len, &date)) {
    must(date_compare(FIRST, date) <= 0 && date_compare(date, LAST) <= 0);
    date_format(date, text);
    must(len == DATE_TEXT_BYTES - 1 && memcmp(text, bytes, len) == 0);
  }
  if (len < sizeof date.milliseconds) return 0;
  memcpy(&date.milliseconds, bytes, sizeof date.milliseconds);
  date_format(date, text);
  must(strlen(text) == DATE_TEXT_BYTES - 1 && date_parse(text, DATE_TEXT_BYTES - 1, &back));
  if (date_compare(date, FIRST) < 0) date = FIRST;
  if (date_compare(date, LAST) > 0) date = LAST;
  must(date_compare(date, back) == 0);
  return 0;
}
