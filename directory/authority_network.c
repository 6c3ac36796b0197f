#include <stdlib.h>
#include <string.h>

#include "directory/authority_internal.h"

static struct agreement *make_agreement(struct authority *authority, instant now, enum agreement_ballot_state state, enum outcome *ret_outcome) {
  const struct network_file *network = authority->network;
  struct agreement_config config = {.own = (uint8_t)authority->own,
                                    .seed = authority->config.identity_seed->bytes,
                                    .ballot_state = state,
                                    .clock = authority->clock,
                                    .trace = authority->config.trace,
                                    .tally = epoch_tally(authority)};
  if (state == AGREEMENT_BALLOT_READ) {
    config.ballot = document_bytes(authority->record);
    config.ballot_len = document_len(authority->record);
  }
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES];
  for (uint32_t i = 0; i < network->authority_count; i++) memcpy(identities[i], network->authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(&config.members, network->id, network->serial, network->authority_count, identities);
  config.timing = (struct agreement_timing){.view_first = (uint64_t)network->timing.view_first * MILLISECONDS,
                                            .view_most = (uint64_t)network->timing.view_most * MILLISECONDS,
                                            .interval = (uint64_t)network->timing.interval * MILLISECONDS,
                                            .early_gap = (uint64_t)network->timing.early_gap * MILLISECONDS};
  memcpy(config.genesis, network->digest, DIGEST_BYTES);
  if (authority->consensus != NULL) {
    consensus_certificate(authority->consensus, &config.decided);
    /* Signatures by the places of another serial mean nothing here. */
    if (consensus_header(authority->consensus)->serial != network->serial) config.decided.signs.count = 0;
    config.decided_valid_after = consensus_header(authority->consensus)->valid_after;
  }
  return agreement_new(&config, now, ret_outcome);
}

static uint64_t next_epoch(const struct authority *authority) {
  return authority->consensus == NULL ? 1 : consensus_header(authority->consensus)->epoch + 1;
}

void authority_save_network(struct authority *authority) {
  struct document *text = network_chain_text(authority->config.networks);
  authority->network_unsaved = text == NULL;
  authority_write(authority, WRITE_NETWORK, FETCH_NETWORK_FILE, text);
}

/* [NET-14] The first proof is enough; the reference moves in. */
static void keep_split(struct authority *authority, struct document *proof) {
  authority->split = true;
  if (authority->split_proof != NULL) {
    document_release(proof);
    return;
  }
  authority->split_proof = proof;
  authority->split_unsaved = proof != NULL;
}

void authority_note_split(struct authority *authority) {
  struct document *proof = fetch_take_split(authority->fetch);
  if (proof != NULL) keep_split(authority, proof);
}

void authority_keep_both(struct authority *authority, const struct document *ours, const uint8_t *bytes, size_t len) {
  if (authority->split_proof != NULL) return; /* whoever proves it again and again has nothing copied for that */
  size_t ours_len = ours == NULL ? 0 : document_len(ours);
  uint8_t *both = malloc(ours_len + len);
  if (both != NULL && ours != NULL) memcpy(both, document_bytes(ours), ours_len);
  if (both != NULL) memcpy(both + ours_len, bytes, len);
  keep_split(authority, both == NULL ? NULL : document_new(both, ours_len + len));
  free(both);
}

void authority_save_split(struct authority *authority) {
  authority->split_unsaved = false;
  authority_write(authority, WRITE_SPLIT, FETCH_SPLIT_FILE, document_take(authority->split_proof));
}

/* How many authorities in force hold the file of this serial, we among them. */
static uint32_t count_holders(const struct authority *authority, uint32_t serial) {
  uint32_t count = 1;
  for (uint32_t i = 0; i < authority->network->authority_count; i++)
    count += i != authority->own && authority->peers[i].held_serial >= serial;
  return count;
}

/* [AUTH-10] Who asks for what follows a serial has that serial. Others are shown a file when it can no longer come to nothing. */
struct document *authority_network_after(struct authority *authority, int member, uint64_t serial) {
  uint32_t newest = network_chain_newest(authority->config.networks)->serial;
  uint32_t decided = authority->consensus == NULL ? 1 : consensus_header(authority->consensus)->serial;
  if (member >= 0 && authority->peers[member].held_serial < serial) authority->peers[member].held_serial = serial;
  if (authority->agreement != NULL && authority->shared_serial < newest &&
      count_holders(authority, newest) >= authorities_quorum(authority->network->authority_count))
    authority->shared_serial = newest;
  uint32_t shown = authority->shared_serial > decided ? authority->shared_serial : decided;
  return member < 0 && serial >= shown ? NULL : network_chain_after(authority->config.networks, serial);
}

enum outcome authority_take_network(struct authority *authority, instant now, const struct document *document) {
  enum outcome outcome = fetch_take_network(authority->fetch, now, document_bytes(document), document_len(document));
  if (fetch_take_network_news(authority->fetch)) authority_save_network(authority);
  authority_note_split(authority);
  if (outcome == OUTCOME_OK && authority->agreement != NULL) peers_ask_network(authority);
  return outcome;
}

/* [AUTH-9] Nothing said under the old serial counts under the new one: votes, links and the ballot begin anew. Who was silent
 * since its record was lost does not know what it said under the new one either: that is remembered until the next agreement is made, for
 * which memory may be short at first. */
static void leave(struct authority *authority, instant now) {
  struct agreement_summary summary = {0};
  if (authority->agreement == NULL) return;
  agreement_summarise(authority->agreement, &summary);
  authority->next_ballot = summary.silent ? AGREEMENT_BALLOT_LOST : AGREEMENT_BALLOT_NEW;
  agreement_free(authority->agreement);
  authority->agreement = NULL;
  authority->ballots_stale = authority->ballots_under_way;
  peers_leave(authority, now);
  epoch_forget(authority);
}

/* Fetches while it takes no part: eagerly if it will soon. */
static void set_fetch(struct authority *authority, instant now) {
  bool takes_part = authority->agreement != NULL;
  const struct network_file *newest = network_chain_newest(authority->config.networks);
  bool will = network_file_find_authority(newest, authority->config.self->identity) >= 0;
  fetch_set_resting(authority->fetch, now, takes_part && !authority->looks);
  fetch_set_eager(authority->fetch, now, !takes_part && will);
}

void authority_follow_look(struct authority *authority, instant now) {
  bool looks = authority->agreement != NULL && agreement_is_looking(authority->agreement);
  if (looks == authority->looks) return;
  authority->looks = looks;
  set_fetch(authority, now);
}

/* In a person's words, with what to do. */
static void tell_silence(const struct authority *authority) {
  struct agreement_summary summary;
  const struct network_file *network = authority->network;
  unsigned long long epoch = next_epoch(authority) - 1;
  agreement_summarise(authority->agreement, &summary);
  if (!summary.silent) return;
  if (agreement_is_looking(authority->agreement))
    trace_write(authority->config.trace, TRACE_WARNING, "authority", "its record of what it promised is lost: it asks for a later consensus than that of epoch %llu for "
                                                                     "%lld s, then speaks again", epoch, (long long)(2 * network->timing.interval / 1000));
  else if (network->authority_count == 1)
    trace_write(authority->config.trace, TRACE_ERROR, "authority", "its record of what it promised and its consensus are lost: it stays silent. Copy the file `consensus` of a "
                                                                   "relay's folder to its own and start it again; only if there is none anywhere: tunic-directory --forget-ballot");
  else
    trace_write(authority->config.trace, TRACE_WARNING, "authority", "its record of what it promised is lost: it stays silent until two epochs after %llu are decided. If the others "
                                                                     "can't, since they lost theirs too: tunic-directory --forget-ballot, once for each", epoch);
}

bool authority_store(struct authority *authority) {
  const struct authority_config *config = &authority->config;
  bool was_read = config->ballot_state == AGREEMENT_BALLOT_READ;
  authority->next_ballot = config->ballot_state;
  for (uint32_t i = 0; config->votes != NULL && i < AUTHORITY_VOTE_FILES; i++)
    if (config->votes[i] != NULL) authority->stored[i] = document_take(config->votes[i]);
  if (was_read) authority->record = document_new(config->ballot, config->ballot_len);
  return !was_read || authority->record != NULL;
}

void authority_forget_stored(struct authority *authority) {
  document_release(authority->record);
  authority->record = NULL;
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) {
    document_release(authority->stored[i]);
    authority->stored[i] = NULL;
  }
}

/* [AUTH-18] At the start a person is told of a record that is another's; later it is as good as lost. */
static void begin_part(struct authority *authority, instant now, bool is_start, enum outcome *ret_outcome) {
  epoch_remember(authority, next_epoch(authority));
  authority->agreement = make_agreement(authority, now, authority->next_ballot, ret_outcome);
  if (*ret_outcome == OUTCOME_WRONG_NETWORK && !is_start) {
    authority->next_ballot = AGREEMENT_BALLOT_LOST;
    authority->agreement = make_agreement(authority, now, authority->next_ballot, ret_outcome);
  }
  authority->running_changed = true;
  if (authority->agreement == NULL) {
    authority_plan_again(authority, now);
    return;
  }
  relays_remember(authority, now);
  authority_forget_stored(authority);
  peers_start(authority, now);
  tell_silence(authority);
}

/* Only who takes part keeps votes. */
static bool has_stored_votes(const struct authority *authority) {
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++)
    if (authority->stored[i] != NULL) return true;
  return false;
}

enum outcome authority_follow_networks(struct authority *authority, instant now, bool is_start) {
  const struct network_file *file = network_chain_at(authority->config.networks, next_epoch(authority));
  bool is_in_force = file->starts <= next_epoch(authority);
  bool may_begin = is_in_force && network_file_find_authority(file, authority->config.self->identity) >= 0;
  bool is_new = authority->network == NULL || file->serial != authority->network->serial;
  /* Reading the stored votes is work: not for every byte that comes. */
  bool waits = authority->again_at != INSTANT_NEVER;
  if (!is_new && (authority->agreement != NULL || !may_begin || waits)) return OUTCOME_OK;
  enum outcome outcome = OUTCOME_OK;
  if (!is_start) leave(authority, now);
  authority->in_force = *file;
  authority->network = &authority->in_force;
  int own = network_file_find_authority(file, authority->config.self->identity);
  if (may_begin) {
    authority->own = (uint32_t)own;
    begin_part(authority, now, is_start, &outcome);
  } else if (is_start && authority->consensus != NULL && authority->next_ballot == AGREEMENT_BALLOT_LOST && !has_stored_votes(authority)) {
    authority->next_ballot = AGREEMENT_BALLOT_NEW;
  }
  if (is_new)
    trace_write(authority->config.trace, TRACE_NOTICE, "authority", own < 0 ? "not an authority of serial %u: does not vote" : "an authority of serial %u",
                file->serial);
  authority_follow_look(authority, now);
  set_fetch(authority, now);
  return outcome;
}
