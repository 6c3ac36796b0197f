/* The inside of an authority: authority.c (verbs), authority_links.c, authority_peers.c, authority_probe.c,
 * authority_sources.c (who may ask how much), authority_descriptors.c (what was handed in), authority_relays.c (who is known), authority_epoch.c (votes and decisions).
 * Spec: specs/authority.md. Called by no one else.
 * Links are freed from one place, authority_sweep, at the end of a verb.
 */
#ifndef TUNIC_DIRECTORY_AUTHORITY_INTERNAL_H
#define TUNIC_DIRECTORY_AUTHORITY_INTERNAL_H

#include "directory/authority_objects.h"

/* authority.c */
/* [MACH-11] Takes the document. A newer one of its kind may take its place before the driver asks. NULL: nothing. */
void authority_write(struct authority *, enum authority_write, const char *name, struct document *);
void authority_write_file(struct authority *, const struct effect *);
/* What failed for the disk or for want of memory, and is not brought again, is done again after a while. */
void authority_plan_again(struct authority *, instant now);

/* authority_links.c */
/* NULL: no memory, or the address has enough. */
struct authority_link *authority_link_accept(struct authority *, instant now, const struct address *peer);
struct authority_link *authority_link_new(struct authority *, instant now, enum authority_link_kind, struct link *);
/* A slot in the table of connections for it. */
bool authority_link_draw(struct authority *, struct authority_link *);
bool authority_link_connect(struct authority *, struct authority_link *, const struct address *);
void authority_link_lost(struct authority *, struct authority_link *, instant now, enum outcome);
enum outcome authority_link_receive(struct authority *, struct authority_link *, instant now, uint8_t *in, size_t len, size_t *ret_used);
void authority_link_follow(struct authority *, struct authority_link *, instant now);
void authority_link_free(struct authority *, struct authority_link *);
void authority_link_timer(struct authority *, struct authority_link *, instant now);
bool authority_link_work(struct authority *, instant now);

/* authority_sources.c */
void sources_init(struct authority *, const uint8_t secret[16], instant now);
void sources_wipe(struct authority *);
/* False: its address has enough links, or too many addresses are remembered. */
bool source_enter(struct authority *, struct authority_link *, instant now);
void source_leave(struct authority *, struct authority_link *);
/* NULL: addresses do not count here. */
struct source *source_of(const struct authority *, const struct authority_link *);
struct allowance *source_allowance(const struct authority *, struct authority_link *);
/* Whether the link may be sent a document of this length now; if so it is counted. */
bool source_may_fetch(struct authority *, struct authority_link *, instant now, size_t len);

/* authority_descriptors.c */
/* Handed in: OK: it waits, and its request is finished later; else why it is refused. Takes a reference of its own. */
enum outcome descriptors_receive(struct authority *, struct authority_link *, instant now, uint16_t request, struct document *);
/* One signature; false: nothing waited. */
bool descriptors_work(struct authority *, instant now);
/* The link goes: what it handed in is dropped. */
void descriptors_forget(struct authority *, struct authority_link *);

/* authority_peers.c */
void peers_start(struct authority *, instant now);
void peer_timer(struct authority *, uint32_t index, instant now);
void peer_resolved(struct authority *, struct authority_link *, instant now, const struct event *);
void peer_opened(struct authority *, struct authority_link *, instant now);
void peer_lost(struct authority *, struct authority_link *, instant now);
void peer_transfer(struct authority *, struct authority_link *, instant now, const struct transfer_event *);
/* `to`: one, or everyone else (AGREEMENT_EVERYONE). */
void peers_send(struct authority *, instant now, uint8_t to, struct document *);
void peers_fetch_vote(struct authority *, instant now, uint8_t to, const uint8_t hash[DIGEST_BYTES]);
/* Whether they have a newer network file. */
void peers_ask_network(struct authority *);
/* Forgets all links and what waits: other authorities have these places from now on. */
void peers_leave(struct authority *, instant now);
void peers_fetch_consensus(struct authority *, instant now, uint8_t to);

/* authority_probe.c */
void probe_plan(struct authority *, struct known_relay *, instant at);
void probe_timer(struct authority *, instant now);
void probe_opened(struct authority *, struct authority_link *, instant now);
void probe_created(struct authority *, struct authority_link *, instant now, const uint8_t *reply);
void probe_ended(struct authority *, struct authority_link *, instant now, enum outcome);
/* The test under way is nobody's any more; or it ends at once, without a verdict. */
void probe_forget(struct authority *, struct known_relay *);
void probe_drop(struct authority *, struct known_relay *, instant now);

/* authority_relays.c */
/* Whether a descriptor is worth its signatures. OK, STALE and others. */
enum outcome relays_screen(const struct authority *, instant now, const struct descriptor *);
/* It is of a relay that has run, or is in the newest consensus, and comes from where that relay is. */
bool relays_is_known(const struct authority *, const struct descriptor *, const struct address *from);
/* That relay's own; NULL: it is known from the consensus alone. */
struct token_bucket *relays_tokens(const struct authority *, const struct descriptor *);
/* Whatever is set again changes nothing. Its address may change only while it does not run. */
void relays_set_running(struct authority *, struct known_relay *, bool);
/* A running relay is at this address (IPv4, or IPv6 /64), whatever its port. Constant time. */
bool relays_is_place(const struct authority *, const struct address *);
/* Verified; `from`: who handed it in. */
enum outcome relays_take_descriptor(struct authority *, instant now, struct document *, const struct descriptor *, const struct address *from);
void relays_forget(struct authority *, struct known_relay *);
/* [AUTH-15] Before the first vote: from our own last one among those that were on disk. */
void relays_remember(struct authority *, instant now);
/* For vote_known: a descriptor that was verified when it came; `context` is the authority. */
bool relays_know_descriptor(const void *context, const uint8_t digest[DIGEST_BYTES]);
/* Running relays differ from those of the newest consensus. */
bool relays_changed(const struct authority *);
/* Our vote for an epoch, as a text; NULL: no memory. */
struct document *relays_make_vote(struct authority *, instant now, uint64_t epoch, uint32_t round, const uint8_t previous[DIGEST_BYTES]);

/* authority_network.c: [AUTH-18] takes what the folder held, for the first agreement. False: no memory. */
bool authority_store(struct authority *);
void authority_forget_stored(struct authority *);
/* [AUTH-9] Moves to the network file that is in force by now. Not OK: there is no agreement. */
enum outcome authority_follow_networks(struct authority *, instant now, bool is_start);
/* From another authority or a person: as network_chain_take; kept on disk. */
enum outcome authority_take_network(struct authority *, instant now, const struct document *);
/* Whether the agreement looks around: then relays are asked for later consensuses. */
void authority_follow_look(struct authority *, instant now);
void authority_save_network(struct authority *);
/* What was fetched may prove that the directory was split: kept, and no part is taken any more. */
void authority_note_split(struct authority *);
/* [AGREE-28] What we hold (NULL: nothing) and what contradicts it; kept as well. */
void authority_keep_both(struct authority *, const struct document *ours, const uint8_t *bytes, size_t len);
void authority_save_split(struct authority *);
/* The answer to whoever asks for what follows this serial; `member`: an authority's place, -1: anybody. NULL: nothing for them. */
struct document *authority_network_after(struct authority *, int member, uint64_t serial);

/* authority_epoch.c */
struct agreement_tally epoch_tally(struct authority *);
/* Takes all of the agreement's effects. */
void epoch_run(struct authority *, instant now);
void epoch_written(struct authority *, instant now, const struct event *);
/* A vote's document came: BAD_DOCUMENT and the like, or OK: it goes to disk. */
enum outcome epoch_take_vote(struct authority *, struct document *);
/* It won't be on disk: as if it had not come. */
void epoch_lose_vote(struct authority *, uint32_t write);
/* [AUTH-17] Before the first agreement is made: the votes that were on disk, as far as they still matter. */
void epoch_remember(struct authority *, uint64_t epoch);
/* A vote that was in our files had been verified before it went there; a vote_known. */
bool epoch_was_verified(const void *context, const uint8_t digest[DIGEST_BYTES]);
const struct held_vote *epoch_find_vote(const struct authority *, const uint8_t hash[DIGEST_BYTES]);
/* A later consensus came from another. */
enum outcome epoch_take_consensus(struct authority *, instant now, struct document *packed);
/* The votes of this epoch are of no use any more. */
void epoch_forget(struct authority *);
/* A newer consensus: to disk, then adopted. One reference moves in. */
void epoch_keep(struct authority *, struct consensus *);
void epoch_free(struct authority *);

#endif
