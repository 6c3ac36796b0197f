#include "tests/unit/directory/fetch_bench.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/seed.h"

#define STEP (20 * MILLISECONDS)

/* ---- who is there ---- */

static void make_source(struct fetch_bench *bench, struct fetch_bench_source *source, const uint8_t identity[IDENTITY_BYTES], uint8_t kind, uint32_t number) {
  uint8_t secret[32];
  sample_bytes(secret, kind, number);
  source->key = guarded_key_new(secret);
  cr_assert(source->key);
  source->self = (struct link_self){.link_secret = source->key, .suites = 2};
  memcpy(source->self.network, bench->network.id, sizeof source->self.network);
  memcpy(source->self.identity, identity, IDENTITY_BYTES);
  x25519_public(source->self.link_public, secret);
}

/* Its text, and what is read of it again. */
static struct document *write_file(struct network_file *file, uint32_t signers) {
  static char text[SAMPLE_TEXT_BYTES];
  size_t len = network_file_format(file, text, sizeof text);
  for (uint32_t i = 0; i < signers; i++) {
    uint8_t seed[32];
    sample_authority_seed(seed, i);
    len = network_file_sign(text, len, sizeof text, seed);
  }
  cr_assert_eq(network_file_read_draft((uint8_t *)text, len, file, NULL, NULL), OUTCOME_OK);
  return document_new(text, len);
}

struct document *fetch_bench_next(struct fetch_bench *bench, uint64_t starts, uint32_t variant, uint32_t signers) {
  struct network_file file = bench->network;
  file.serial = 2;
  file.starts = starts;
  file.expires = date_after(file.expires, 1000 * (1 + (int64_t)variant));
  memcpy(file.previous, bench->network.digest, DIGEST_BYTES);
  struct document *text = write_file(&file, signers);
  if (bench->next_text == NULL) bench->next = file;
  return text;
}

void fetch_bench_make_next(struct fetch_bench *bench, uint64_t starts) { bench->next_text = fetch_bench_next(bench, starts, 0, BENCH_AUTHORITIES); }

uint32_t fetch_bench_serial(const struct fetch_bench *bench) { return network_chain_newest(bench->networks)->serial; }

/* In force at that epoch. */
static const struct network_file *file_at(const struct fetch_bench *bench, uint64_t epoch) {
  return bench->next_text != NULL && epoch >= bench->next.starts ? &bench->next : &bench->network;
}

static void make_sources(struct fetch_bench *bench, bool in_lab) {
  sample_network(&bench->network, BENCH_AUTHORITIES);
  if (!in_lab) network_timing_production(&bench->network.timing);
  for (uint32_t i = 0; i < BENCH_AUTHORITIES; i++) {
    struct network_authority *authority = &bench->network.authorities[i];
    snprintf(authority->host, sizeof authority->host, "127.0.0.1");
    make_source(bench, &bench->authorities[i], authority->identity, 'l', i);
  }
  bench->network_text = write_file(&bench->network, BENCH_AUTHORITIES);
  sample_entries(bench->entries, bench->summaries, BENCH_RELAYS);
  for (uint32_t i = 0; i < BENCH_RELAYS; i++) {
    make_source(bench, &bench->relays[i], bench->entries[i].identity, 'L', i);
    memcpy(bench->entries[i].link_key, bench->relays[i].self.link_public, X25519_BYTES);
    bench->entries[i].link_suites = 2;
  }
}

static struct document *format_epoch(struct fetch_bench *bench, uint64_t epoch, uint32_t variant, uint32_t signers) {
  struct consensus_header header;
  struct consensus_signature signatures[BENCH_AUTHORITIES];
  int64_t interval = bench->network.timing.interval;
  static struct relay_entry entries[BENCH_LISTED];
  static struct exit_summary summaries[BENCH_LISTED];
  uint32_t count = bench->listed > 0 && epoch > 1 ? bench->listed : BENCH_RELAYS;
  if (count > BENCH_RELAYS) sample_entries(entries, summaries, count);
  else memcpy(entries, bench->entries, sizeof bench->entries);
  entries[epoch % BENCH_RELAYS].weight += (uint32_t)epoch + variant;
  sample_header(&header, file_at(bench, epoch), entries, count);
  header.epoch = epoch;
  header.valid_after = date_after(header.valid_after, (int64_t)(epoch - 1) * interval);
  header.fresh_until = date_after(header.valid_after, interval);
  header.valid_until = date_after(header.valid_after, bench->network.timing.valid);
  struct document *text = consensus_format(bench->network.id, &header, entries);
  cr_assert(text);
  for (uint32_t i = 0; i < signers; i++) sample_sign(&signatures[i], &bench->network, &header, i, 0);
  struct document *whole = consensus_compose(text, signatures, signers);
  cr_assert(whole);
  document_release(text);
  return whole;
}

struct consensus *fetch_bench_consensus(struct fetch_bench *bench, uint64_t epoch) {
  cr_assert(epoch > 0 && epoch < BENCH_EPOCHS);
  if (bench->epochs[epoch] != NULL) return bench->epochs[epoch];
  struct document *whole = format_epoch(bench, epoch, 0, 3);
  enum outcome outcome;
  bench->epochs[epoch] = consensus_parse(file_at(bench, epoch), document_bytes(whole), document_len(whole), &outcome, NULL);
  cr_assert(bench->epochs[epoch], "%s", outcome_name(outcome));
  document_release(whole);
  return bench->epochs[epoch];
}

/* ---- the client ---- */

struct date fetch_bench_date(const struct fetch_bench *bench) {
  return date_after(sample_date("2026-11-23T00:00:00.000Z"), (int64_t)(bench->now / MILLISECONDS));
}

void fetch_bench_set_clock(struct fetch_bench *bench, int64_t skew_ms) {
  bench->skew_ms = skew_ms;
  struct wall_clock clock = {bench->now, date_after(fetch_bench_date(bench), skew_ms)};
  fetch_set_clock(bench->fetch, bench->now, &clock);
}

static void count_lines(void *context, enum trace_level level, const char *area, const char *text) {
  struct fetch_bench *bench = context;
  (void)area;
  bench->warnings += level <= TRACE_WARNING;
  if (level != TRACE_NOTICE) return;
  bench->notices++;
  snprintf(bench->last_notice, sizeof bench->last_notice, "%s", text);
}

static void make_fetch(struct fetch_bench *bench, bool has_guard) {
  struct fetch_config config = {.self = &bench->self, .networks = bench->networks, .trunks = &bench->pool, .connections = &bench->table,
                                .slot_kind = 1, .effects = &bench->effects, .random = &bench->random, .trace = &bench->trace,
                                .from_mirrors = true, .has_guard = has_guard};
  fetch_free(bench->fetch);
  bench->fetch = fetch_new(&config);
  cr_assert(bench->fetch);
}

static void init(struct fetch_bench *bench, const char *test, bool in_lab) {
  memset(bench, 0, sizeof *bench);
  cr_assert(crypto_start());
  bench->random = test_random(test);
  make_sources(bench, in_lab);
  memory_budget_init(&bench->budget, 64 << 20);
  bench->cells = cell_pool_new(&bench->budget, 1024);
  cr_assert(bench->cells);
  trunk_pool_init(&bench->pool, bench->cells, &bench->random);
  trunk_pool_init(&bench->servers, bench->cells, &bench->random);
  id_table_init(&bench->table, sizeof(struct connection_slot), 64);
  memcpy(bench->self.network, bench->network.id, sizeof bench->self.network);
  bench->self.suites = 2;
  bench->trace = (struct trace){.level = TRACE_NOTICE, .context = bench, .sink = count_lines};
  enum outcome outcome;
  bench->networks = network_chain_new(document_bytes(bench->network_text), document_len(bench->network_text), &outcome, NULL);
  cr_assert(bench->networks, "%s", outcome_name(outcome));
  make_fetch(bench, false);
  fetch_bench_decide(bench, 1);
}

void fetch_bench_init(struct fetch_bench *bench, const char *test) { init(bench, test, true); }

void fetch_bench_init_far(struct fetch_bench *bench, const char *test, uint32_t listed, uint64_t bytes_per_s) {
  init(bench, test, false);
  cr_assert_leq(listed, BENCH_LISTED);
  bench->listed = listed;
  for (int i = 0; i < BENCH_AUTHORITIES; i++) bench->authorities[i].bytes_per_s = bytes_per_s, bench->authorities[i].line_bytes = BENCH_LINE_BYTES;
  for (int i = 0; i < BENCH_RELAYS; i++) bench->relays[i].bytes_per_s = bytes_per_s, bench->relays[i].line_bytes = BENCH_LINE_BYTES;
}

void fetch_bench_decide(struct fetch_bench *bench, uint64_t epoch) {
  while (bench->newest < epoch) consensus_archive_add(&bench->archive, fetch_bench_consensus(bench, ++bench->newest));
}

void fetch_bench_start(struct fetch_bench *bench, uint64_t epoch) {
  if (epoch > 0) fetch_set_consensus(bench->fetch, bench->now, consensus_take(fetch_bench_consensus(bench, epoch)));
  fetch_bench_set_clock(bench, bench->skew_ms);
}

static void forget(struct fetch_bench_connection *connection) {
  trunk_free(connection->trunk);
  *connection = (struct fetch_bench_connection){.used = false};
}

void fetch_bench_wipe(struct fetch_bench *bench) {
  for (int i = 0; i < BENCH_CONNECTIONS; i++) forget(&bench->connections[i]);
  fetch_free(bench->fetch);
  forget(&bench->guard);
  trunk_free(bench->guard_trunk);
  network_chain_free(bench->networks);
  document_release(bench->network_text);
  document_release(bench->next_text);
  consensus_archive_wipe(&bench->archive);
  effect_queue_wipe(&bench->effects);
  id_table_wipe(&bench->table);
  cell_pool_free(bench->cells);
  for (int i = 0; i < BENCH_EPOCHS; i++) consensus_release(bench->epochs[i]);
  for (int i = 0; i < BENCH_AUTHORITIES; i++) guarded_key_free(bench->authorities[i].key);
  for (int i = 0; i < BENCH_RELAYS; i++) guarded_key_free(bench->relays[i].key);
}

/* ---- how sources answer ---- */

static void give(struct transfers *transfers, uint16_t request, struct document *document) {
  transfers_answer(transfers, request, document);
  document_release(document);
}

static struct document *half_of(const struct document *whole) {
  return document_new(document_bytes(whole), document_len(whole) / 2);
}

static struct document *another(struct fetch_bench *bench, uint64_t epoch, uint32_t signers) {
  struct document *whole = format_epoch(bench, epoch, 1, signers), *packed = document_pack(document_bytes(whole), document_len(whole));
  document_release(whole);
  return packed;
}

/* The diff says that a relay weighs something else than its authorities said. */
static struct document *bad_diff(struct fetch_bench *bench, uint64_t epoch) {
  static char changed[SAMPLE_TEXT_BYTES];
  struct document *diff = consensus_diff_make(fetch_bench_consensus(bench, epoch), fetch_bench_consensus(bench, bench->newest));
  cr_assert(diff);
  size_t len = text_replace((const char *)document_bytes(diff), document_len(diff), "weigh ", "weigh ", "weigh 1", changed, sizeof changed);
  document_release(diff);
  return document_pack((const uint8_t *)changed, len);
}

static void answer_well(struct fetch_bench *bench, struct fetch_bench_connection *connection, const struct transfer_event *event) {
  struct document *document = NULL;
  struct transfers *transfers = trunk_transfers(connection->trunk);
  enum outcome outcome = consensus_archive_answer(&bench->archive, &event->about, &document);
  bool is_diff = event->about.kind == TRANSFER_CONSENSUS_DIFF, has_diffs = connection->source->conduct != CONDUCT_WHOLE;
  if (outcome == OUTCOME_OK && is_diff && !has_diffs) outcome = OUTCOME_NOT_FOUND;
  if (outcome != OUTCOME_OK) {
    transfers_finish(transfers, event->request, outcome);
    return;
  }
  connection->source->diffs_given += is_diff;
  connection->source->wholes_given += !is_diff;
  transfers_answer(transfers, event->request, document);
}

static struct document *zeros(size_t len) {
  uint8_t *bytes = calloc(1, len);
  struct document *document = document_new(bytes, len);
  free(bytes);
  return document;
}

/* [NET-13] */
static void show_file(struct fetch_bench *bench, struct fetch_bench_source *source, struct transfers *transfers, const struct transfer_event *event) {
  uint64_t behind = event->about.epoch, shown = consensus_header(fetch_bench_consensus(bench, bench->newest))->serial;
  struct document *document = behind >= shown ? NULL : behind == 0 ? bench->network_text : bench->next_text;
  if (document == NULL) {
    transfers_finish(transfers, event->request, OUTCOME_STALE);
    return;
  }
  source->files_given++;
  transfers_answer(transfers, event->request, document);
}

static void answer_file(struct fetch_bench *bench, struct fetch_bench_source *source, struct transfers *transfers, const struct transfer_event *event) {
  uint16_t request = event->request;
  switch (source->files) {
  case FILES_SHOWN: show_file(bench, source, transfers, event); break;
  case FILES_HIDDEN: transfers_finish(transfers, request, OUTCOME_STALE); break;
  case FILES_OLD: transfers_answer(transfers, request, bench->network_text); break;
  case FILES_CUT: give(transfers, request, half_of(bench->next_text)); break;
  case FILES_GARBAGE: give(transfers, request, document_new("garbage", 7)); break;
  case FILES_FORGED: give(transfers, request, fetch_bench_next(bench, bench->next.starts, 1, 2)); break;
  case FILES_ENDLESS: give(transfers, request, zeros(LIMIT_NETWORK_FILE_BYTES + 1)); break;
  case FILES_OTHER: give(transfers, request, fetch_bench_next(bench, bench->next.starts, 2, 3)); break;
  case FILES_SILENT:
  case FILE_CONDUCTS: break;
  }
}

/* False: hangs up. */
static bool answer(struct fetch_bench *bench, struct fetch_bench_connection *connection, const struct transfer_event *event) {
  struct transfers *transfers = trunk_transfers(connection->trunk);
  struct document *newest = consensus_packed(fetch_bench_consensus(bench, bench->newest));
  uint16_t request = event->request;
  if (event->about.kind == TRANSFER_NETWORK_FILE) {
    answer_file(bench, connection->source, transfers, event);
    trunk_make_ready(connection->trunk);
    return true;
  }
  switch (connection->source->conduct) {
  case CONDUCT_NEWEST:
  case CONDUCT_WHOLE: answer_well(bench, connection, event); break;
  case CONDUCT_BAD_DIFF:
    if (event->about.kind == TRANSFER_CONSENSUS_DIFF) give(transfers, request, bad_diff(bench, event->about.epoch));
    else answer_well(bench, connection, event);
    break;
  case CONDUCT_STALE: transfers_finish(transfers, request, OUTCOME_STALE); break;
  case CONDUCT_OLD: transfers_answer(transfers, request, consensus_packed(fetch_bench_consensus(bench, event->about.epoch > 1 ? event->about.epoch - 1 : 1))); break;
  case CONDUCT_NEXT:
    if (event->about.kind == TRANSFER_CONSENSUS_DIFF) transfers_finish(transfers, request, OUTCOME_NOT_FOUND);
    else transfers_answer(transfers, request, consensus_packed(fetch_bench_consensus(bench, event->about.epoch + 1)));
    break;
  case CONDUCT_CUT: give(transfers, request, half_of(newest)); break;
  case CONDUCT_GARBAGE: give(transfers, request, document_new("garbage", 7)); break;
  case CONDUCT_FORGED: give(transfers, request, another(bench, bench->newest, 2)); break;
  case CONDUCT_OTHER:
    if (event->about.kind == TRANSFER_CONSENSUS_DIFF) transfers_finish(transfers, request, OUTCOME_NOT_FOUND);
    else give(transfers, request, another(bench, event->about.epoch, 3));
    break;
  case CONDUCT_ENDLESS: give(transfers, request, zeros(LIMIT_CONSENSUS_PACKED_BYTES + 1)); break;
  case CONDUCT_LARGEST: give(transfers, request, zeros(event->about.kind == TRANSFER_CONSENSUS_DIFF ? CONSENSUS_DIFF_PACKED_BYTES : LIMIT_CONSENSUS_PACKED_BYTES)); break;
  case CONDUCT_SILENT: break;
  case CONDUCT_HANGS_UP:
  case CONDUCT_REFUSES:
  case CONDUCTS: return false;
  }
  trunk_make_ready(connection->trunk);
  return true;
}

/* ---- connections ---- */

static struct fetch_bench_source *source_at(struct fetch_bench *bench, const struct address *address) {
  if (address->bytes[0] == 127) return &bench->authorities[address->port - 9100];
  for (uint32_t i = 0; i < BENCH_RELAYS; i++)
    if (address_equal(&bench->entries[i].address, address)) return &bench->relays[i];
  cr_assert_fail("nobody has this address");
  return NULL;
}

static void tell(struct fetch_bench *bench, struct id id, enum event_kind kind, enum outcome outcome) {
  struct event event = {.kind = kind, .id = id, .outcome = outcome};
  fetch_event(bench->fetch, bench->now, &event);
}

static void begin(struct fetch_bench *bench, const struct effect *effect) {
  struct fetch_bench_source *source = source_at(bench, &effect->address);
  source->asked++;
  if (source->conduct == CONDUCT_REFUSES) {
    tell(bench, effect->id, EVENT_CLOSED, OUTCOME_CONNECTION_REFUSED);
    return;
  }
  struct fetch_bench_connection *connection = NULL;
  for (int i = 0; i < BENCH_CONNECTIONS && connection == NULL; i++)
    if (!bench->connections[i].used) connection = &bench->connections[i];
  cr_assert(connection);
  struct link *link = link_new_responder(&source->self, &bench->random);
  *connection = (struct fetch_bench_connection){.used = true, .id = effect->id, .source = source};
  connection->trunk = trunk_new(&bench->servers, link, effect->id, 1, LIMIT_DESCRIPTOR_BYTES);
  cr_assert(connection->trunk);
  tell(bench, effect->id, EVENT_CONNECTED, OUTCOME_OK);
}

static void take_effects(struct fetch_bench *bench) {
  struct effect effect;
  while (effect_queue_take(&bench->effects, &effect)) {
    if (effect.kind == EFFECT_CONNECT) begin(bench, &effect);
    else if (effect.kind == EFFECT_CLOSE)
      for (int i = 0; i < BENCH_CONNECTIONS; i++)
        if (bench->connections[i].used && id_equal(bench->connections[i].id, effect.id)) forget(&bench->connections[i]);
  }
}

static void hang_up(struct fetch_bench *bench, struct fetch_bench_connection *connection) {
  struct id id = connection->id;
  forget(connection);
  tell(bench, id, EVENT_CLOSED, OUTCOME_CONNECTION_RESET);
}

/* False: it hung up. */
static bool take(struct fetch_bench *bench, struct fetch_bench_connection *connection, const struct transfer_event *event) {
  if (event->kind == TRANSFER_ASKED) return answer(bench, connection, event);
  if (event->kind != TRANSFER_GIVEN) return true;
  document_release(event->document);
  transfers_finish(trunk_transfers(connection->trunk), event->request, OUTCOME_OK);
  connection->source->handed_in++;
  return true;
}

/* The source's half of a turn; false: it hung up. */
static bool serve(struct fetch_bench *bench, struct fetch_bench_connection *connection, uint8_t *bytes, size_t len) {
  for (size_t at = 0, used = 1; used > 0; at += used) {
    if (trunk_receive(connection->trunk, bench->now, bytes + at, len - at, &used) != OUTCOME_OK) return false;
    enum outcome outcome;
    struct delivery delivery;
    while (trunk_next_delivery(connection->trunk, bench->now, &delivery, &outcome))
      if (delivery.kind == DELIVERY_TRANSFER && !take(bench, connection, &delivery.transfer)) return false;
    if (outcome != OUTCOME_OK) return false;
  }
  struct link *link = trunk_link(connection->trunk);
  if (link_needs_work(link) && link_work(link, bench->now) != OUTCOME_OK) return false;
  if (link_state(link) == LINK_OPEN && !connection->is_open) {
    connection->is_open = true;
    trunk_tell_time(connection->trunk, date_after(fetch_bench_date(bench), connection->source->clock_ms));
  }
  return true;
}

/* What it sends, as its line allows; of idle time a second makes up, or what a few records take. */
static size_t send_down(const struct fetch_bench *bench, const struct fetch_bench_connection *connection, uint8_t *out, size_t room) {
  struct fetch_bench_source *source = connection->source;
  if (source->bytes_per_s == 0) return trunk_transmit(connection->trunk, bench->now, out, room);
  uint64_t most = source->bytes_per_s > BENCH_LINE_BYTES ? source->bytes_per_s : BENCH_LINE_BYTES;
  source->line_bytes += (bench->now - source->line_at) * source->bytes_per_s / SECONDS;
  source->line_at = bench->now;
  if (source->line_bytes > most) source->line_bytes = most;
  size_t sent = trunk_transmit(connection->trunk, bench->now, out, source->line_bytes < room ? source->line_bytes : room);
  source->line_bytes -= sent;
  return sent;
}

/* True if anything moved. */
static bool pump(struct fetch_bench *bench, struct fetch_bench_connection *connection) {
  static uint8_t bytes[1 << 17];
  struct id id = connection->id;
  size_t up = fetch_transmit(bench->fetch, bench->now, id, bytes, sizeof bytes);
  if (!serve(bench, connection, bytes, up)) {
    hang_up(bench, connection);
    return true;
  }
  size_t down = send_down(bench, connection, bytes, sizeof bytes);
  for (size_t at = 0, used = 1; at < down && used > 0; at += used) {
    while (fetch_room(bench->fetch, id) == 0 && fetch_work(bench->fetch, bench->now)) continue;
    if (fetch_receive(bench->fetch, bench->now, id, bytes + at, down - at, &used) != OUTCOME_OK) break;
  }
  return up + down > 0;
}

/* ---- the client's link to its guard ---- */

static void lose_guard(struct fetch_bench *bench) {
  fetch_guard_lost(bench->fetch, bench->now, bench->guard_trunk);
  trunk_free(bench->guard_trunk);
  bench->guard_trunk = NULL;
  forget(&bench->guard);
}

static bool pump_guard(struct fetch_bench *bench) {
  static uint8_t bytes[1 << 17];
  enum outcome outcome = OUTCOME_OK;
  struct delivery delivery;
  if (bench->guard_trunk == NULL) return false;
  struct link *link = trunk_link(bench->guard_trunk);
  if (link_needs_work(link)) cr_assert_eq(link_work(link, bench->now), OUTCOME_OK);
  size_t up = trunk_transmit(bench->guard_trunk, bench->now, bytes, sizeof bytes);
  bool serves = serve(bench, &bench->guard, bytes, up);
  size_t down = serves ? send_down(bench, &bench->guard, bytes, sizeof bytes) : 0;
  for (size_t at = 0, used = 1; at < down && used > 0 && outcome == OUTCOME_OK; at += used) {
    if (link_needs_work(link)) outcome = link_work(link, bench->now);
    if (outcome == OUTCOME_OK) outcome = trunk_receive(bench->guard_trunk, bench->now, bytes + at, down - at, &used);
    while (outcome == OUTCOME_OK && trunk_next_delivery(bench->guard_trunk, bench->now, &delivery, &outcome))
      if (delivery.kind == DELIVERY_TRANSFER) fetch_guard_event(bench->fetch, bench->now, bench->guard_trunk, &delivery.transfer);
  }
  if (!serves || outcome != OUTCOME_OK) lose_guard(bench);
  return up + down > 0;
}

void fetch_bench_open_guard(struct fetch_bench *bench) {
  struct fetch_bench_source *source = &bench->relays[0];
  struct link_peer peer = {.suites = 2};
  memcpy(peer.identity, source->self.identity, IDENTITY_BYTES);
  memcpy(peer.link_key, source->self.link_public, X25519_BYTES);
  make_fetch(bench, true);
  bench->guard_trunk = trunk_new(&bench->pool, link_new_initiator(&bench->self, &peer, LINK_FROM_CLIENT, &bench->random), (struct id){1, 1}, 1, 0);
  bench->guard = (struct fetch_bench_connection){.used = true, .source = source};
  bench->guard.trunk = trunk_new(&bench->servers, link_new_responder(&source->self, &bench->random), (struct id){2, 1}, 1, 0);
  cr_assert(bench->guard_trunk && bench->guard.trunk);
  for (int i = 0; i < 8; i++) pump_guard(bench);
  cr_assert_eq(link_state(trunk_link(bench->guard_trunk)), LINK_OPEN);
}

static void turn(struct fetch_bench *bench) {
  if (fetch_deadline(bench->fetch) <= bench->now) fetch_tick(bench->fetch, bench->now);
  if (fetch_wants_guard(bench->fetch)) fetch_use_guard(bench->fetch, bench->now, bench->guard_trunk, bench->relays[0].self.identity);
  for (bool moved = true; moved;) {
    moved = pump_guard(bench);
    take_effects(bench);
    while (fetch_work(bench->fetch, bench->now)) continue;
    for (int i = 0; i < BENCH_CONNECTIONS; i++)
      if (bench->connections[i].used) moved = pump(bench, &bench->connections[i]) || moved;
  }
  take_effects(bench);
}

void fetch_bench_run(struct fetch_bench *bench, uint64_t duration) {
  for (instant end = bench->now + duration; bench->now < end; bench->now += STEP) turn(bench);
}

bool fetch_bench_run_until(struct fetch_bench *bench, uint64_t epoch, uint64_t most) {
  /* What is due in the last moment gets its turn at the end of the step that it falls into. */
  for (instant end = bench->now + most; bench->now < end + STEP && fetch_bench_epoch(bench) < epoch; bench->now += STEP) turn(bench);
  return fetch_bench_epoch(bench) >= epoch;
}

uint64_t fetch_bench_epoch(const struct fetch_bench *bench) {
  const struct consensus *consensus = fetch_consensus(bench->fetch);
  return consensus == NULL ? 0 : consensus_header(consensus)->epoch;
}

uint32_t fetch_bench_asked(const struct fetch_bench *bench, bool authorities) {
  uint32_t count = 0;
  for (int i = 0; authorities && i < BENCH_AUTHORITIES; i++) count += bench->authorities[i].asked;
  for (int i = 0; !authorities && i < BENCH_RELAYS; i++) count += bench->relays[i].asked;
  return count;
}

void fetch_bench_conduct(struct fetch_bench *bench, enum conduct authorities, enum conduct relays) {
  for (int i = 0; i < BENCH_AUTHORITIES; i++) bench->authorities[i].conduct = authorities;
  for (int i = 0; i < BENCH_RELAYS; i++) bench->relays[i].conduct = relays;
}

const char *fetch_bench_text(struct fetch_bench *bench, const char *name) {
  static struct status status;
  status = (struct status){.role = "client"};
  fetch_add_status(bench->fetch, bench->now, &status);
  for (uint32_t i = 0; i < status.text_count; i++)
    if (strcmp(status.texts[i].name, name) == 0) return status.texts[i].value;
  return "";
}

void fetch_bench_conduct_files(struct fetch_bench *bench, enum file_conduct authorities, enum file_conduct relays) {
  for (int i = 0; i < BENCH_AUTHORITIES; i++) bench->authorities[i].files = authorities;
  for (int i = 0; i < BENCH_RELAYS; i++) bench->relays[i].files = relays;
}
