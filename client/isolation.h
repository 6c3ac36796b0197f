/* Which streams may share a circuit: those with equal isolations, and no others.
 * Spec: specs/paths.md [ISO-*]. Called by client_stream.c, compared by circuit_pool.c.
 * A digest under a secret of the process, so that credentials are kept nowhere. Never depends on anything that came
 * from the network.
 */
#ifndef TUNIC_CLIENT_ISOLATION_H
#define TUNIC_CLIENT_ISOLATION_H

#include "client/socks.h"
#include "crypto/keys.h"

enum { ISOLATION_SECRET_BYTES = 32 };

struct isolation { uint8_t digest[DIGEST_BYTES]; };

/* `application`: the host that the SOCKS connection came from. by_destination: streams to different destinations are
 * kept apart as well. */
void isolation_make(struct isolation *ret, const uint8_t secret[ISOLATION_SECRET_BYTES], const struct address *application,
                    const struct socks *, bool by_destination);
bool isolation_equal(const struct isolation *, const struct isolation *);

#endif
