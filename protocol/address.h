/* Network addresses: IPv4 and IPv6 with a port, as text, as bytes, and what part of the internet they lie in.
 * Spec: specs/words.md [ADDR-*]. Called by documents, exits, clients.
 * Never resolves a name.
 */
#ifndef TUNIC_PROTOCOL_ADDRESS_H
#define TUNIC_PROTOCOL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_family { ADDRESS_NONE = 0, ADDRESS_IPV4 = 4, ADDRESS_IPV6 = 6 };

struct address { uint8_t family; uint8_t bytes[16]; uint16_t port; }; /* IPv4 uses bytes[0..4); the rest zero */

enum { ADDRESS_TEXT_BYTES = 56, HOST_NAME_MAX_BYTES = 255, HOST_LABEL_MAX_BYTES = 63 };

/* "192.0.2.1:443" or "[2001:db8::1]:443". Strict; false leaves ret unspecified. */
bool address_parse(const char *text, size_t len, struct address *ret);
/* The same without a port: "192.0.2.1" or "2001:db8::1" (brackets allowed). */
bool address_parse_host(const char *text, size_t len, struct address *ret);
void address_format(const struct address *, char ret_text[ADDRESS_TEXT_BYTES]);
void address_format_host(const struct address *, char ret_text[ADDRESS_TEXT_BYTES]);
bool address_equal(const struct address *, const struct address *); /* with the port */
bool address_host_equal(const struct address *, const struct address *);

/* [ADDR-3] Not on the public internet: loopback, private, link-local, multicast, reserved, documentation,
 * and IPv4 inside IPv6 (mapped, NAT64, 6to4) where the inner one is. */
bool address_is_private(const struct address *);
/* [LIMIT-5] Equal for what counts as one place: one IPv4 address, or one IPv6 /64. */
uint64_t address_source_key(const struct address *);
/* [ADDR-5] Same /16 (IPv4) or /32 (IPv6). */
bool address_same_neighbourhood(const struct address *, const struct address *);

/* [ADDR-4] A host name that may be looked up: 1 to 255 of letters, digits, '-', '_', '.', no empty label. */
bool host_name_is_valid(const char *name, size_t len);

#endif
