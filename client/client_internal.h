/* What the sub-machines of a client ask of each other: guard_link.c, circuit.c, circuit_build.c, client_stream.c,
 * stream_data.c, circuit_pool.c, client_status.c. Spec: specs/circuits.md, specs/streams.md, specs/paths.md.
 * Called by no one else.
 * Objects are freed from one place, at the end of a verb: never under a caller's feet.
 */
#ifndef TUNIC_CLIENT_CLIENT_INTERNAL_H
#define TUNIC_CLIENT_CLIENT_INTERNAL_H

#include "client/client_objects.h"

/* client.c */
/* [MACH-11] With room for its close. ID_NONE: limits or no memory. */
struct id client_add_connection(struct client *, enum client_slot, void *object);
/* The driver never heard of it, or has forgotten it. */
void client_forget_connection(struct client *, struct id);
void client_close_connection(struct client *, struct id, enum effect_kind);
/* The guards changed: they are saved at the end of this verb, or of a later one while there is no memory. */
void client_save(struct client *);
/* A cell of the pool; when it is full, whoever has stood still longest is evicted. NULL: none even so. */
struct cell *client_take_cell(struct client *, instant now);

/* client_status.c */
void client_status(const struct client *, instant now, struct status *ret);
bool client_has_open_circuit(const struct client *);
/* How far it is now; what was reached before does not count. */
uint8_t client_stage(const struct client *);

/* guard_link.c */
/* An open or opening link to this guard that takes new circuits; NULL: no memory, or limits. */
struct guard_link *guard_link_reach(struct client *, instant now, const struct relay_entry *);
/* [FETCH-13] The fetch wants a link to the guard: the one that is open, or soon will be, or none. */
void guard_link_offer(struct client *, instant now);
enum outcome guard_link_receive(struct client *, struct guard_link *, instant now, uint8_t *in, size_t len, size_t *ret_used);
void guard_link_lost(struct client *, struct guard_link *, instant now, enum outcome);
void guard_link_work(struct client *, struct guard_link *, instant now);
void guard_link_timer(struct client *, struct guard_link *, instant now);
void guard_link_free(struct client *, struct guard_link *);

/* circuit.c */
struct circuit *circuit_new(struct client *, instant now, const struct path *, struct guard_link *);
void circuit_free(struct client *, struct circuit *);
struct circuit *circuit_of_side(struct trunk_side *);
void circuit_receive(struct client *, struct circuit *, instant now, uint8_t *body);
/* A message to the hop at `place`: begin gives the place for its body (NULL: none; the circuit is then closing). */
uint8_t *circuit_begin_message(struct client *, struct circuit *, instant now, uint8_t place, uint8_t command, uint16_t stream, size_t len,
                               struct cell **ret_cell);
void circuit_send_message(struct client *, struct circuit *, instant now, uint8_t place, struct cell *);
/* Closes it behind what is queued; streams that can go on elsewhere do. */
void circuit_close(struct client *, struct circuit *, instant now, enum outcome cause);
/* Drops what is queued and closes. */
void circuit_cut(struct client *, struct circuit *, instant now, enum outcome cause);
/* The guard closed it, or the link is lost: its side is detached. */
void circuit_lost(struct client *, struct circuit *, instant now, enum outcome cause);
void circuit_end_build(struct circuit *);
void circuit_check_dead(struct client *, struct circuit *);
bool circuit_is_open(const struct circuit *);

/* circuit_build.c */
void circuit_link_open(struct client *, struct circuit *);
void circuit_work(struct client *, struct circuit *, instant now);
void circuit_created(struct client *, struct circuit *, instant now, const uint8_t *reply);
/* EXTENDED from the hop at `place`; false: it was not asked. */
bool circuit_extended(struct client *, struct circuit *, uint8_t place, const uint8_t *reply);

/* circuit_pool.c */
/* Something changed: the pool looks at what is needed at the end of this verb. */
void circuit_pool_want(struct client *);
void circuit_pool_run(struct client *, instant now);
/* [MACH-11] When it looks by itself. Only the first time can fail: the timer keeps its place from then on. */
bool circuit_pool_plan(struct client *, instant at);
void circuit_pool_built(struct client *, struct circuit *, instant now);
/* [SOCKS-9] Why a stream still waits; never OK. */
enum outcome circuit_pool_holds_back(const struct client *, const struct client_stream *, instant now);
/* While being built, or after: never because a person or the pool wanted it. */
void circuit_pool_failed(struct client *, struct circuit *, instant now, enum outcome cause);

/* client_stream.c: its life */
struct client_stream *client_stream_accept(struct client *, instant now, const struct address *application);
void client_stream_free(struct client *, struct client_stream *);
void client_stream_ready(struct client *, struct client_stream *);
/* The request is read. */
void client_stream_asked(struct client *, struct client_stream *, instant now);
void client_stream_begin(struct client *, struct client_stream *, struct circuit *, instant now);
/* Another attempt, or none is left. */
void client_stream_retry(struct client *, struct client_stream *, instant now, enum outcome cause);
/* The application is told why it can't be. */
void client_stream_fail(struct client *, struct client_stream *, instant now, enum outcome cause);
/* [OUT-4] For the log and the status: why what an application wanted is not to be, or ended before its time. */
void client_stream_note_failure(struct client *, const struct client_stream *, instant now, enum outcome cause);
/* The application gets what there is for it; then its connection closes. */
void client_stream_leave(struct client *, struct client_stream *, instant now);
/* END went both ways, or the circuit is gone: the number is forgotten. */
void client_stream_detach(struct client *, struct client_stream *);
void client_stream_circuit_closed(struct client *, struct circuit *, instant now, enum outcome cause);
void client_stream_eof(struct client *, struct client_stream *, instant now);
/* The application's connection is gone. */
void client_stream_closed(struct client *, struct client_stream *, instant now);
void client_stream_timer(struct client *, struct client_stream *, instant now);
/* It stood still longest, and its memory is needed. */
void client_stream_evict(struct client *, struct client_stream *, instant now);
void client_stream_check_done(struct client *, struct client_stream *, instant now);
/* Messages to the exit: END and EOF once, EOF when all before it has left. */
void client_stream_end(struct client *, struct client_stream *, instant now);
void client_stream_send_eof(struct client *, struct client_stream *, instant now);
void client_stream_send_credit(struct client *, struct client_stream *, instant now, uint64_t limit);

/* stream_messages.c: what the exit says; false: a violation */
bool client_stream_message(struct client *, struct circuit *, instant now, const struct message *);

/* stream_data.c: bytes */
size_t client_stream_room(const struct client_stream *);
void client_stream_receive(struct client *, struct client_stream *, instant now, const uint8_t *in, size_t len);
size_t client_stream_transmit(struct client *, struct client_stream *, instant now, uint8_t *out, size_t room);
void client_stream_keep_arrived(struct client *, struct client_stream *, instant now, const uint8_t *bytes, size_t len);
/* Sends of what was kept as much as there is room and credit for. */
void client_stream_pump(struct client *, struct client_stream *, instant now);
void client_stream_circuit_room(struct client *, struct circuit *, instant now);
/* What was sent need not be kept any longer; or all of it is to be sent again. */
void client_stream_drop_early(struct client *, struct client_stream *);
void client_stream_rewind_early(struct client_stream *);
void client_stream_clear_data(struct client *, struct client_stream *);

#endif
