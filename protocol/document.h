/* Immutable bytes shared by reference count, also between threads: documents, files to write, transfers.
 * Spec: none. Called by whoever serves or keeps a document.
 * Never changes after it was made.
 */
#ifndef TUNIC_PROTOCOL_DOCUMENT_H
#define TUNIC_PROTOCOL_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

struct document; /* opaque */

/* A copy of the bytes, with one reference. NULL: no memory. Its memory is not zeroed on release: no secrets but
 * through document_new_secret, which wipes. */
struct document *document_new(const void *bytes, size_t len);
struct document *document_new_secret(const void *bytes, size_t len);
struct document *document_take(struct document *); /* one more reference; returns it */
void document_release(struct document *);          /* NULL is allowed */
const uint8_t *document_bytes(const struct document *);
size_t document_len(const struct document *);

#endif
