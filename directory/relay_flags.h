/* What authorities think of a relay, as flags and as words of a line `flags`.
 * Spec: specs/consensus.md [CONS-5]. Called by votes, the tally and consensuses.
 * One order of words, so that a set of flags has one text.
 */
#ifndef TUNIC_DIRECTORY_RELAY_FLAGS_H
#define TUNIC_DIRECTORY_RELAY_FLAGS_H

#include "directory/signed_text.h"

enum relay_flag { RELAY_RUNNING = 1, RELAY_GUARD = 2, RELAY_EXIT = 4, RELAY_VALID = 8 };
enum { RELAY_FLAG_COUNT = 4 };

/* `none`, or words with commas between them: running, guard, exit, valid. */
uint8_t relay_flags_read(struct text_reader *);
void relay_flags_write(struct text_writer *, uint8_t flags);

#endif
