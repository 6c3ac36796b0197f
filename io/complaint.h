/* A sentence for the person, beside an outcome: which path, which argument, what was expected.
 * Spec: specs/outcomes.md [OUT-6]. Filled by whoever in io/ finds that something a person gave can't be used.
 * Never holds a secret.
 */
#ifndef TUNIC_IO_COMPLAINT_H
#define TUNIC_IO_COMPLAINT_H

enum { COMPLAINT_BYTES = 512, ADVICE_BYTES = 384 };

/* advice: what to do next where the outcome's own advice is about something else; empty: the outcome's. */
struct complaint { char text[COMPLAINT_BYTES], advice[ADVICE_BYTES]; };

/* What was complained of is no trouble after all: else it would be said of whatever fails next. */
void complaint_withdraw(struct complaint *);
/* NULL: nobody wants to know. Longer sentences are cut. An earlier complaint goes, with its advice. */
__attribute__((format(printf, 2, 3))) void complain(struct complaint *, const char *format, ...);
/* After the complaint that it belongs to. */
__attribute__((format(printf, 2, 3))) void advise(struct complaint *, const char *format, ...);

#endif
