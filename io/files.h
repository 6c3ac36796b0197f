/* Files and the node's folder: read whole, written so that a crash leaves the old or the new, locked for one process.
 * Spec: specs/machines.md [MACH-7]. Called by drivers and by main files.
 * Never follows a name out of the folder, never leaves a secret readable by others, never reads without a cap.
 */
#ifndef TUNIC_IO_FILES_H
#define TUNIC_IO_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/complaint.h"
#include "protocol/document.h"
#include "protocol/outcome.h"

struct folder; /* opaque */

enum { FILE_NAME_MAX_BYTES = 200 };

/* Opens the folder, making it with mode 0700 if it is missing (not its parents). Complaints may be NULL everywhere here. */
enum outcome folder_open(const char *path, struct folder **ret, struct complaint *);
void folder_close(struct folder *); /* also gives the lock back; NULL is allowed */
const char *folder_path(const struct folder *);
/* For what is neither read nor written: a socket. Stays the folder's. */
int folder_descriptor(const struct folder *);

/* One process per folder: ALREADY_RUNNING, with its process id in the complaint. Held until the folder is closed or
 * the process ends, however it ends. */
enum outcome folder_lock(struct folder *, struct complaint *);

/* The whole file. NOT_FOUND, TOO_LARGE (more than `most` bytes), FILE_FAILED. */
enum outcome folder_read(const struct folder *, const char *name, size_t most, struct document **ret, struct complaint *);
/* The same for a secret of known length into the caller's guarded memory; BAD_SETTING if others may read the file. */
enum outcome folder_read_secret(const struct folder *, const char *name, uint8_t *ret_bytes, size_t len, struct complaint *);
/* [MACH-7] Mode 0600 for a secret, else 0644. When it returns OK the new file outlives a power cut. */
enum outcome folder_write(const struct folder *, const char *name, const void *bytes, size_t len, bool secret, struct complaint *);
/* Whether there is something of this name. */
bool folder_has(const struct folder *, const char *name);
/* NOT_FOUND if there is none. */
enum outcome folder_remove(const struct folder *, const char *name, struct complaint *);

/* A file at any path, such as a network file that a person names. */
enum outcome file_read(const char *path, size_t most, struct document **ret, struct complaint *);

#endif
