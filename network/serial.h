/* The next serial of a network file: made from the one before, signed by one authority after the other, shown to people.
 * Spec: specs/network-file.md [NET-7], [NET-9]. Called by network/serial_command.c.
 * Never holds more than one authority's key: a file goes from operator to operator until enough have signed it.
 */
#ifndef TUNIC_NETWORK_SERIAL_H
#define TUNIC_NETWORK_SERIAL_H

#include "directory/network_file.h"
#include "io/complaint.h"

enum serial_change { SERIAL_ADD, SERIAL_REMOVE, SERIAL_REPLACE_KEY, SERIAL_RENEW };

struct serial_wishes {
  const char *network_path; /* the newest file, or a folder that holds it */
  const char *out_path;     /* the next one: written without signatures, and never over a file */
  enum serial_change change;
  struct network_authority authority; /* its name; for ADD and REPLACE_KEY also its keys, for ADD host and port; REPLACE_KEY: port 0: stays where it is */
  uint64_t at_epoch;
};

/* BAD_SETTING: the change is none of this file's, or makes no file; the complaint says why. */
enum outcome serial_make(const struct serial_wishes *, struct date now, struct complaint *);
/* Adds the signature of the authority whose folder this is. STALE: it has signed. */
enum outcome serial_sign(const char *path, const char *data_path, struct complaint *);
/* Who signed, who did not, and how many are missing; `previous_path` (may be NULL): the file before, whose authorities sign
 * too. TOO_FEW_SIGNATURES: it can't be used yet. */
enum outcome serial_show(const char *path, const char *previous_path, struct complaint *);
/* Hands the complete file to the running authority of that folder, which hands it on; waits until it was taken. */
enum outcome serial_install(const char *path, const char *data_path, struct complaint *);
/* The folder with keys for a new authority, made where missing, and the words that `add` wants of them. */
enum outcome serial_make_keys(const char *data_path, struct complaint *);

#endif
