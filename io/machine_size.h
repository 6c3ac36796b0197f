/* How large this machine is, for what holds where a person says nothing: cores, memory and descriptors that this process may use.
 * Spec: specs/limits.md [LIMIT-1], [LIMIT-9], [LIMIT-14]. Called by main files.
 * A container's share counts, not its host.
 */
#ifndef TUNIC_IO_MACHINE_SIZE_H
#define TUNIC_IO_MACHINE_SIZE_H

#include <stdint.h>

/* At least 1. */
uint32_t machine_size_cores(void);
/* In MiB, at least 1. */
uint64_t machine_size_memory_mb(void);

/* [LIMIT-9] Shards of a relay, [LIMIT-1] its ceiling in MiB, where it has the machine for itself, and where it shares
 * it with so many others. */
uint32_t machine_size_shards(void);
uint32_t machine_size_relay_memory_mb(uint64_t machine_mb, uint32_t relays);
/* [LIMIT-14] Streams of each of so many shards, where so many descriptors may be open. */
uint32_t machine_size_relay_streams(uint64_t descriptors, uint32_t shards);

#endif
