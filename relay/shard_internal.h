/* The inside of a shard, shared by its sub-machines: neighbour.c, admission.c, hop.c, extend.c, exit.c, exit_connect.c.
 * Spec: specs/circuits.md, specs/streams.md. Called by no one else.
 * Objects are freed from one place, shard_sweep, at the end of a verb: never under a caller's feet.
 */
#ifndef TUNIC_RELAY_SHARD_INTERNAL_H
#define TUNIC_RELAY_SHARD_INTERNAL_H

#include "relay/shard_objects.h"

/* shard.c */
struct shard_connection *shard_connection(const struct shard *, struct id);
/* [MACH-11] A name for the driver, with room for its close. NULL: limits, or no memory. */
struct shard_connection *shard_draw_connection(struct shard *, struct id *ret_id);
/* The driver never heard of it, or has forgotten it. */
void shard_forget_connection(struct shard *, struct id);
void shard_sweep(struct shard *, instant now);
/* A cell of the pool; when it is full, whoever has stood still longest is evicted. NULL: none even so. */
struct cell *shard_take_cell(struct shard *, instant now);
void shard_close_connection(struct shard *, struct id, enum effect_kind);

/* neighbour.c */
struct neighbour *neighbour_accept(struct shard *, instant now, const struct address *);
/* An open or opening link of our own to this relay; NULL: no memory, or limits. */
struct neighbour *neighbour_reach(struct shard *, instant now, const struct relay_entry *);
enum outcome neighbour_receive(struct shard *, struct neighbour *, instant now, uint8_t *in, size_t len, size_t *ret_used);
void neighbour_connected(struct shard *, struct neighbour *, instant now);
void neighbour_lost(struct shard *, struct neighbour *, instant now, enum outcome);
void neighbour_timer(struct shard *, struct neighbour *, instant now);
void neighbour_work(struct shard *, struct neighbour *, instant now);
void neighbour_free(struct shard *, struct neighbour *);
/* [LIMIT-5] Tells the keeper, which counted it, that a link from this address was not taken. */
void neighbour_report_refused(struct shard *, const struct address *peer);

/* admission.c */
void admission_create(struct shard *, struct neighbour *, instant now, uint32_t circuit, const struct cell_create *);
/* One handshake, of a link or a circuit; true if more waits. */
bool admission_work(struct shard *, instant now);
void admission_forget(struct shard *, struct hop *);

/* hop.c */
struct hop *hop_new(struct shard *, instant now);
void hop_free(struct shard *, struct hop *);
/* [LIMIT-3] The hop holds a CREATE that waits: it can be evicted for that cell. */
void hop_note_request(struct shard *, struct hop *);
struct hop *hop_of_side(struct trunk_side *);
void hop_forward(struct shard *, struct hop *, instant now, uint8_t *body);
void hop_backward(struct shard *, struct hop *, instant now, uint8_t *body);
/* A message of our own to the client. False: the hop is closing; taking a cell may have evicted it. */
bool hop_say(struct shard *, struct hop *, instant now, uint8_t command, uint16_t stream, const uint8_t *body, size_t len);
/* Tells the client the cause, then closes both sides; OUTCOME_OK: closes without a word. */
void hop_close(struct shard *, struct hop *, instant now, enum outcome cause);
/* Drops what is queued and closes. */
void hop_cut(struct shard *, struct hop *, instant now);
void hop_side_closed(struct shard *, struct trunk_side *, instant now);
void hop_side_lost(struct shard *, struct trunk_side *, instant now, bool client_link);
void hop_check_dead(struct shard *, struct hop *);
/* [LIMIT-11] Closes those that carried nothing for too long; once a minute while there are any that may be due. */
void hop_sweep_quiet(struct shard *, instant now);
/* [MACH-11] Only the first time can fail: the timer keeps its place. */
bool hop_plan_sweep(struct shard *, instant at);
void hop_timer(struct shard *, struct hop *, instant now);

/* extend.c */
void extend_begin(struct shard *, struct hop *, instant now, const struct message *);
void extend_link_open(struct shard *, struct neighbour *, instant now);
void extend_created(struct shard *, struct trunk_side *, instant now, const uint8_t *reply);
void extend_fail(struct shard *, struct hop *, instant now, enum outcome);

/* exit.c */
enum { EXIT_REFUSED_CREDIT = LIMIT_EXIT_FIRST_CREDIT + 1 }; /* DATA behind BEGIN, and EOF */
void exit_message(struct shard *, struct hop *, instant now, const struct message *);
size_t exit_stream_room(const struct exit_stream *);
void exit_stream_receive(struct shard *, struct exit_stream *, instant now, const uint8_t *in, size_t len);
size_t exit_stream_transmit(struct shard *, struct exit_stream *, instant now, uint8_t *out, size_t room);
void exit_stream_opened(struct shard *, struct exit_stream *, instant now); /* EOF may have come before */
void exit_stream_eof(struct shard *, struct exit_stream *, instant now);
void exit_stream_closed(struct shard *, struct exit_stream *, instant now, enum outcome); /* or could not be connected */
void exit_stream_end(struct shard *, struct exit_stream *, instant now, enum outcome cause);
void exit_stream_timer(struct shard *, struct exit_stream *, instant now);
/* The hop is closing: its streams go without a word. */
void exit_hop_closed(struct shard *, struct hop *, instant now);
void exit_hop_room(struct shard *, struct hop *); /* its queue has room again */
void exit_stream_free(struct shard *, struct exit_stream *);
void exit_stream_ready(struct shard *, struct exit_stream *);
/* Its destination is no longer wanted: EFFECT_CLOSE or EFFECT_CLOSE_FLUSHED. */
void exit_stream_disconnect(struct shard *, struct exit_stream *, enum effect_kind);
/* Begun streams by their number; NULL: none. */
struct exit_stream *exit_stream_find(const struct shard *, const struct hop *, uint16_t number);
uint64_t exit_stream_key(const struct hop *, uint16_t number);

/* exit_connect.c */
void exit_begin(struct shard *, struct hop *, instant now, const struct message *);
void exit_resolved(struct shard *, struct exit_stream *, instant now, const struct event *);
/* The stream goes before its lookup is answered; and then the answer. */
void exit_leave_lookup(struct shard *, struct exit_stream *);
void exit_lookup_over(struct shard *, struct id lookup);
void exit_connected(struct shard *, struct exit_stream *, instant now);
/* Tries the next address; false: there is none. */
bool exit_connect_next(struct shard *, struct exit_stream *, instant now);
/* [STREAM-4] A newer consensus: where its relays listen. */
void exit_learn_places(struct shard *);

#endif
