/* Documents in transit: one zstd frame, unpacked under caps.
 * Spec: specs/signed-text.md [PACK-*]. Called by whoever serves or fetches a document.
 * Nothing is allocated before the frame has said how large it is, and that is within the cap; nothing may follow it.
 */
#ifndef TUNIC_DIRECTORY_PACK_H
#define TUNIC_DIRECTORY_PACK_H

#include "protocol/document.h"

/* [PACK-1] NULL if it is not one whole frame that names its size, would be larger than `max`, or without memory. */
struct document *document_unpack(const uint8_t *bytes, size_t len, size_t max);
/* NULL: no memory. */
struct document *document_pack(const uint8_t *bytes, size_t len);

#endif
