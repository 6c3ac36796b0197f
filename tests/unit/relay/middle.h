/* A shard as the middle of a circuit: it stands at place 1, and the test is both of its neighbours.
 * Spec: none. Called by this folder's tests.
 */
#ifndef TUNIC_TESTS_UNIT_RELAY_MIDDLE_H
#define TUNIC_TESTS_UNIT_RELAY_MIDDLE_H

#include "tests/unit/relay/shard_bench.h"

/* A circuit that goes on to the next relay: `before` is its side towards the client, `behind` the other one. */
struct middle { struct bench *bench; struct bench_circuit *before, *behind; };

/* On a bench of its own, which is the caller's to free. */
struct middle middle_new(void);
/* One more, on the same links. */
struct middle middle_add(struct bench *);
/* The cell that the client sends next, full of `filling`, to be passed on; sealed but not sent. */
void middle_seal(struct middle *, uint8_t filling, uint8_t cell[CELL_BYTES]);
/* It goes in, and nothing comes out yet. */
void middle_push(struct middle *, const uint8_t cell[CELL_BYTES]);
void middle_send(struct middle *, const uint8_t cell[CELL_BYTES]);

#endif
