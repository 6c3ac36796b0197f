/* The agreement of the authorities, for n = 4, f = 1, q = 3: three honest authorities and a liar, VIEWS views of one epoch.
 * Spec: specs/agreement.md, whose rules keep their numbers here. tests/model/run.sh checks it as it is, in full, and that
 * each MUTANT_* breaks it.
 *
 * What is checked: never two valid consensuses for one epoch, whatever the network and the liar do.
 *
 * What stands for what:
 * - Two vectors, A and B, with the consensuses they result in. Two are enough: a violation needs two, and a third one would
 *   be to both of them what they are to each other.
 * - A message, once sent, is there for everyone for good. Each rule asks for "so many messages at least", so whatever can be
 *   done with fewer can be done with more; a message that is late or lost is an authority that does not act yet, or ever.
 *   Thus every order, delay, loss and partition is among the runs.
 * - The liar's messages are always there, all of them: in each view it prepares and signs both A and B, and adds to any
 *   TIMEOUTs its own, with no lock or with any lock that q PREPAREs prove. Whoever it hides them from is one that waits.
 * - Every leader is taken for a liar: it proposes A and B, each as soon as q TIMEOUTs can be shown that allow it. Honest
 *   leaders do less. So a proposal needs no state: it is there if it can be justified.
 * - Timers run out at any moment. Crashes cost nothing but time, since what was said is on disk before it is sent
 *   ([AGREE-19]); MUTANT_FORGETS shows what happens otherwise.
 *
 * To keep the states few: honest authorities are interchangeable, so they are kept sorted, and of a view in which nobody can
 * act any more only what later views can ask for is kept (forget_the_past).
 */

#ifndef VIEWS
#define VIEWS 4
#endif
#define HONEST 3
#ifdef MUTANT_SMALL_QUORUM
#define Q 2
#else
#define Q 3 /* [AGREE-1] */
#endif

#define NONE 0
#define A 1
#define B 2

/* A lock: NONE, or a view and A or B in it. Higher locks are higher numbers. */
#define LOCK(v, x) (2 * (v) + (x))
#define LOCK_VIEW(l) (((l) - 1) / 2)
#define LOCK_VALUE(l) (((l) - 1) % 2 + 1)

/* The honest authorities. Their place: 2 v in view v, and 2 v + 1 once TIMEOUT(v) was sent. */
byte place[HONEST];
byte prepared[HONEST]; /* in the view of their place */
byte lock[HONEST];     /* its view is the last one they signed */
#define VIEW(i) (place[i] / 2)
#define HAS_TIMED_OUT(i) (place[i] % 2)
#ifdef MUTANT_ANY_VIEW
byte ever[HONEST]; /* bit 0: signed A in some view; bit 1: B */
#define EVER(i) ever[i]
#else
#define EVER(i) 0
#endif

/* What honest authorities have sent. TIMEOUTs of view v, in descending order: 1 + their lock; 0: not sent. */
byte claim[VIEWS * HONEST];
#define CLAIM(v, j) claim[(v) * HONEST + (j)]
#define TIMEOUTS(v) ((CLAIM(v, 0) > 0) + (CLAIM(v, 1) > 0) + (CLAIM(v, 2) > 0))
byte prepares[VIEWS * 2], signs[VIEWS * 2];
#define PREPARES(v, x) prepares[(v) * 2 + (x) - 1]
#define SIGNS(v, x) signs[(v) * 2 + (x) - 1]

/* The liar has said the same. */
#define QUORUM(count) ((count) + 1 >= Q)

bool valid_a, valid_b;
#ifdef MUTANT_FORGETS
bool has_forgotten;
#endif

/* Scratch: zero between steps, so that it is no state. */
byte i, v, x, k, t, highest;
bool may;

inline swap(one, other) { t = one; one = other; other = t }

#define KEY(a) (((place[a] * 4 + prepared[a]) * 16 + lock[a]) * 4 + EVER(a))
inline order_two(a, b) {
  if
  :: KEY(a) > KEY(b) ->
     swap(place[a], place[b]);
     swap(prepared[a], prepared[b]);
#ifdef MUTANT_ANY_VIEW
     swap(ever[a], ever[b]);
#endif
     swap(lock[a], lock[b])
  :: else
  fi
}

/* [AGREE-18] Nothing of a view is prepared or signed after a TIMEOUT of it or of a later one. */
#ifdef MUTANT_LATE_SIGN
#define MAY_SPEAK(i) true
#define IS_OVER(v) (place[0] > 2 * (v) + 1 && place[1] > 2 * (v) + 1 && place[2] > 2 * (v) + 1)
#else
#define MAY_SPEAK(i) (!HAS_TIMED_OUT(i))
#define IS_OVER(v) (place[0] > 2 * (v) && place[1] > 2 * (v) && place[2] > 2 * (v))
#endif

/* [AGREE-12], [AGREE-17] may: x can be proposed in view v, with the TIMEOUTs of v - 1 of all three honest authorities, or of two
 * of them and the liar's. With the liar's, the highest lock may be any that q PREPAREs prove. */
inline justify() {
  may = false;
  if
  :: v == 0 -> may = true
  :: v > 0 && CLAIM(v - 1, 2) > 0 -> highest = CLAIM(v - 1, 0) - 1; may = (highest == NONE || LOCK_VALUE(highest) == x)
  :: v > 0 && CLAIM(v - 1, 1) > 0 ->
     /* The claims descend: leaving out the first, the second or the third. */
     if
     :: CLAIM(v - 1, 2) > 0 -> highest = CLAIM(v - 1, 1) - 1
     :: highest = CLAIM(v - 1, 0) - 1
     fi;
     if
     :: true
     :: QUORUM(PREPARES(0, x)) && LOCK(0, x) > highest -> highest = LOCK(0, x)
     :: v > 1 && QUORUM(PREPARES(1, x)) && LOCK(1, x) > highest -> highest = LOCK(1, x)
     :: v > 2 && QUORUM(PREPARES(2, x)) && LOCK(2, x) > highest -> highest = LOCK(2, x)
     fi;
     may = (highest == NONE || LOCK_VALUE(highest) == x)
  :: else
  fi
}

/* [AGREE-9] Once per view. */
inline prepare() {
  v = VIEW(i);
  if
  :: MAY_SPEAK(i) && prepared[i] == NONE ->
     if :: x = A :: x = B fi;
     justify();
     if :: may -> prepared[i] = x; PREPARES(v, x)++ :: else fi
  :: else
  fi
}

/* [AGREE-10] Once per view, on q PREPAREs, which become the lock. */
inline sign() {
  v = VIEW(i);
  if
  :: MAY_SPEAK(i) && (lock[i] == NONE || LOCK_VIEW(lock[i]) < v) ->
     if :: x = A :: x = B fi;
     if
     :: QUORUM(PREPARES(v, x)) ->
        lock[i] = LOCK(v, x);
#ifdef MUTANT_ANY_VIEW
        ever[i] = ever[i] | x;
#endif
        SIGNS(v, x)++
     :: else
     fi
  :: else
  fi
}

/* [AGREE-13] The timer of this view; or f + 1 TIMEOUTs of this or later views: the liar's and one honest one. */
inline time_out() {
  if :: v = 0 :: v = 1 :: v = 2 :: v = VIEWS - 1 fi;
  if
  :: place[i] <= 2 * v && (VIEW(i) == v || place[0] > 2 * v || place[1] > 2 * v || place[2] > 2 * v) ->
     place[i] = 2 * v + 1;
#ifndef MUTANT_LATE_SIGN
     prepared[i] = NONE;
#endif
     k = TIMEOUTS(v);
#ifdef MUTANT_NO_LOCK
     CLAIM(v, k) = 1;
#else
     CLAIM(v, k) = 1 + lock[i];
#endif
     if :: CLAIM(v, 0) < CLAIM(v, 1) -> swap(CLAIM(v, 0), CLAIM(v, 1)) :: else fi;
     if :: CLAIM(v, 1) < CLAIM(v, 2) -> swap(CLAIM(v, 1), CLAIM(v, 2)) :: else fi;
     if :: CLAIM(v, 0) < CLAIM(v, 1) -> swap(CLAIM(v, 0), CLAIM(v, 1)) :: else fi
  :: else
  fi
}

/* [AGREE-12] q TIMEOUTs of a view open the next. */
inline enter() {
  if :: v = 1 :: v = 2 :: v = VIEWS - 1 fi;
  if
  :: place[i] < 2 * v && QUORUM(TIMEOUTS(v - 1)) -> place[i] = 2 * v; prepared[i] = NONE
  :: else
  fi
}

#ifdef MUTANT_FORGETS
/* [AGREE-22] One honest authority comes back without its record, and does not stay silent. */
inline forget() {
  if
  :: !has_forgotten && !HAS_TIMED_OUT(i) -> has_forgotten = true; prepared[i] = NONE; lock[i] = NONE
  :: else
  fi
}
#endif

/* [AGREE-15] A consensus is valid with q SIGNs of one view. */
inline judge() {
#ifdef MUTANT_ANY_VIEW
  valid_a = QUORUM((ever[0] & 1) + (ever[1] & 1) + (ever[2] & 1));
  valid_b = QUORUM((ever[0] >> 1) + (ever[1] >> 1) + (ever[2] >> 1))
#else
  valid_a = valid_a || QUORUM(SIGNS(0, A)) || QUORUM(SIGNS(1, A)) || QUORUM(SIGNS(2, A)) || QUORUM(SIGNS(VIEWS - 1, A));
  valid_b = valid_b || QUORUM(SIGNS(0, B)) || QUORUM(SIGNS(1, B)) || QUORUM(SIGNS(2, B)) || QUORUM(SIGNS(VIEWS - 1, B))
#endif
}

/* Nobody can prepare or sign in view k any more: of its SIGNs only valid_a and valid_b matter; of its PREPAREs, whether they
 * prove a lock; of the TIMEOUTs before it, nothing. */
#ifdef MUTANT_FORGETS
inline forget_the_past() { k = 0 } /* who forgets may act in any view again */
#else
inline forget_the_past() {
  k = 0;
  do
  :: k < VIEWS && IS_OVER(k) ->
     SIGNS(k, A) = 0;
     SIGNS(k, B) = 0;
     if :: QUORUM(PREPARES(k, A)) -> PREPARES(k, A) = Q - 1 :: else -> PREPARES(k, A) = 0 fi;
     if :: QUORUM(PREPARES(k, B)) -> PREPARES(k, B) = Q - 1 :: else -> PREPARES(k, B) = 0 fi;
     if :: k > 0 -> CLAIM(k - 1, 0) = 0; CLAIM(k - 1, 1) = 0; CLAIM(k - 1, 2) = 0 :: else fi;
     k++
  :: else -> break
  od;
  k = 0
}
#endif

active proctype world() {
  do
  :: atomic {
       if :: i = 0 :: i = 1 :: i = 2 fi;
       if
       :: prepare()
       :: sign()
       :: time_out()
       :: enter()
#ifdef MUTANT_FORGETS
       :: forget()
#endif
       fi;
       judge();
       /* [AGREE-29] */
       assert(!(valid_a && valid_b));
       forget_the_past();
       order_two(0, 1);
       order_two(1, 2);
       order_two(0, 1);
       i = 0; v = 0; x = 0; k = 0; t = 0; highest = 0; may = false
     }
  od
}
