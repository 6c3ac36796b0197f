/* Exit policies: which destinations a relay connects to; rules as text, their meaning, and their summary for clients.
 * Spec: specs/descriptor.md [POLICY-*]. Called by descriptors, the tally, exits, and whoever reads a relay's settings.
 * The first rule that matches decides; what none matches is rejected. `*` never means a private address.
 * Never allocates, never resolves a name.
 */
#ifndef TUNIC_DIRECTORY_EXIT_POLICY_H
#define TUNIC_DIRECTORY_EXIT_POLICY_H

#include "directory/signed_text.h"
#include "protocol/address.h"

enum { EXIT_POLICY_RULES_MAX = 64, EXIT_SUMMARY_RANGES_MAX = 32 };

enum exit_target { EXIT_TARGET_PUBLIC, EXIT_TARGET_PRIVATE, EXIT_TARGET_IPV4, EXIT_TARGET_IPV6 };

struct exit_rule {
  bool accept;
  uint8_t target;    /* enum exit_target */
  uint8_t prefix;    /* bits of `bytes`, for the last two */
  uint8_t bytes[16];
  uint16_t low, high; /* ports, both included */
};

struct exit_policy { uint32_t rule_count; struct exit_rule rules[EXIT_POLICY_RULES_MAX]; }; /* zeroed: no exit */

/* [CONS-6] What an exit allows, in short: ranges of ports on public addresses, and whether private ones too. */
struct exit_summary { uint8_t range_count; bool allows_private; struct { uint16_t low, high; } ranges[EXIT_SUMMARY_RANGES_MAX]; };

/* Adds the rule `accept|reject TARGET:PORTS`. False, with nothing changed: not a rule, or one too many. */
bool exit_policy_add_rule(struct exit_policy *, const char *text, size_t len);
/* As lines `exit-policy ...` of a descriptor. */
void exit_policy_read(struct text_reader *, struct exit_policy *ret);
void exit_policy_write(struct text_writer *, const struct exit_policy *);

/* What connecting to an address reaches: IPv4 within IPv6 is judged as the IPv4 address. */
struct address exit_policy_reaches(const struct address *);
/* [POLICY-4] Whether it connects to this address and port. */
bool exit_policy_may_connect(const struct exit_policy *, const struct address *);
/* Whether the rule by which it connects to this address is for that address alone. */
bool exit_policy_names(const struct exit_policy *, const struct address *);
/* [POLICY-6] Whether it connects to every port of the addresses that `private` names. */
bool exit_policy_allows_private(const struct exit_policy *);
/* [POLICY-5] Ports that it accepts on public IPv4 addresses in general. False: it is no exit. */
bool exit_policy_summarise(const struct exit_policy *, struct exit_summary *ret);

/* As words of an entry's line `exit`. */
void exit_summary_read(struct text_reader *, struct exit_summary *ret);
void exit_summary_write(struct text_writer *, const struct exit_summary *);
/* NULL is no exit. A private address is allowed at any port, or at none. */
bool exit_summary_may_connect(const struct exit_summary *, uint16_t port, bool is_private);

#endif
