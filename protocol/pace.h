/* The pace of a link: how fast its socket may send, so that what waits in the network stays short.
 * Spec: specs/pace.md. Called by io/driver with what the system tells of a link's connection.
 * Only ever slows the system's own congestion control down, or has it begin anew; never touches a socket, never looks
 * at cells.
 */
#ifndef TUNIC_PROTOCOL_PACE_H
#define TUNIC_PROTOCOL_PACE_H

#include <stdbool.h>

#include "protocol/instant.h"

enum { PACE_ROUNDS_KEPT = 5 };

/* What the system tells of a connection. Times in nanoseconds. */
struct pace_sample {
  uint64_t acknowledged;     /* bytes, since the connection began; also those behind a lost one */
  uint64_t round_trip;       /* lately, smoothed */
  uint64_t variation;        /* how far round trips lately were from that, on average */
  uint64_t least_round_trip; /* the least of the last minutes, when nothing waited; 0: not known yet */
  bool is_pausing;           /* the control nearly stopped by itself, and knows the window to come back to */
  bool waits;                /* bytes wait unsent in the socket: it was never idle since it was last given some */
  uint32_t circuits;         /* that have cells which may leave on it */
};

enum pace_state {
  PACE_START, /* nothing waits: no limit */
  PACE_HOLD,  /* held where little waits */
  PACE_YIELD, /* others fill the queue: no limit, and after a while another try */
};

struct pace {
  enum pace_state state;
  uint64_t limit;          /* bytes a second; 0: none */
  instant sample_at;       /* no sample is wanted before */
  instant renewed_at;      /* when the system's control last began anew; 0: nothing was sent yet */
  bool is_renewal_due;     /* it is to do so now: true once */
  /* the round that is being measured */
  instant round_at;        /* its beginning; 0: none yet */
  uint64_t acknowledged;   /* at that instant */
  uint64_t limit_of_round, shortest; /* round trip */
  bool is_full;            /* the socket had bytes to send throughout */
  uint64_t circuits, looks; /* the sum of those that waited at each look, and how many looks */
  /* those before */
  uint64_t rates[PACE_ROUNDS_KEPT]; /* what arrived, bytes a second */
  uint64_t rate, queue;    /* of the last one; queue in nanoseconds */
  uint64_t sharers;        /* circuits that had cells waiting lately, in 256ths */
  uint64_t raises;         /* in a row, with hardly anything waiting */
  uint32_t rounds, unused, crowded, yielded;
  instant crowded_at;      /* since when others seem to fill the queue, and our rate then */
  uint64_t crowded_rate;
};

void pace_init(struct pace *);
/* True if a sample is worth taking: a few in a round trip. */
bool pace_is_due(const struct pace *, instant now);
/* True if `limit` is another one now. Look at `is_renewal_due` too. */
bool pace_measure(struct pace *, instant now, const struct pace_sample *);

#endif
