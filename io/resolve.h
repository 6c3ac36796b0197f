/* Host names to addresses, as this machine's resolv.conf and hosts file say.
 * Spec: specs/streams.md. Called by io/driver for EFFECT_RESOLVE.
 * Never blocks, never tries the machine's own search domains: a stranger's name must not become a name inside.
 */
#ifndef TUNIC_IO_RESOLVE_H
#define TUNIC_IO_RESOLVE_H

#include "io/loop.h"
#include "protocol/address.h"
#include "protocol/id_table.h"

enum { RESOLVE_ADDRESSES_MAX = 8 };

struct resolver; /* opaque */

/* OK with 1 to RESOLVE_ADDRESSES_MAX different addresses, ports 0; NAME_NOT_FOUND, NAME_LOOKUP_FAILED or TOO_BUSY without any. */
typedef void resolve_callback(void *context, struct id, enum outcome, const struct address *addresses, uint32_t count);

struct resolver_config {
  const char *resolv_conf, *hosts; /* paths; NULL: the system's. They outlive the resolver. */
  uint64_t wait;                   /* nanoseconds after which a lookup has failed */
  resolve_callback *callback;
  void *context;
};

/* NULL: no memory. Without name servers only the hosts file answers; they are looked for again at the next lookup. */
struct resolver *resolver_new(struct loop *, const struct resolver_config *);
/* What was asked is no longer answered. The loop's watches but its own must be gone. NULL is allowed. */
void resolver_free(struct resolver *);

/* Answered exactly once, within the time of the configuration; perhaps before this returns. */
void resolver_ask(struct resolver *, struct id, const char *name);

#endif
