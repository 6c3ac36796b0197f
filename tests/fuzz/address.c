/* Fuzzes addresses: any bytes as a text, and any bytes as an address. */
#include <stdlib.h>
#include <string.h>

#include "protocol/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds) {
  if (!holds) abort();
}

/* What was read is written in one form, which reads as the same. */
static void check_texts(const struct address *address) {
  struct address back;
  char text[ADDRESS_TEXT_BYTES], again[ADDRESS_TEXT_BYTES];
  address_format(address, text);
  must(address_parse(text, strlen(text), &back) && address_equal(address, &back));
  address_format(&back, again);
  must(strcmp(text, again) == 0);
  address_format_host(address, text);
  must(address_parse_host(text, strlen(text), &back) && address_host_equal(address, &back));
  must(address_is_private(address) == address_is_private(&back));
  must(address_same_neighbourhood(address, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  const char *text = (const char *)bytes;
  struct address address;
  if (address_parse(text, len, &address)) check_texts(&address);
  if (address_parse_host(text, len, &address)) check_texts(&address);
  if (host_name_is_valid(text, len)) must(len <= HOST_NAME_MAX_BYTES && memchr(text, 0, len) == NULL);
  if (len < 18) return 0;
  address = (struct address){.family = ADDRESS_IPV6, .port = (uint16_t)(bytes[16] << 8 | bytes[17])};
  memcpy(address.bytes, bytes, 16);
  check_texts(&address);
  address = (struct address){.family = ADDRESS_IPV4, .port = address.port};
  memcpy(address.bytes, bytes, 4);
  check_texts(&address);
  return 0;
}
