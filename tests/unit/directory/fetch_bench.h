/* A node's directory client, and authorities and mirrors that answer as the test wants, on real links without a network.
 * Spec: none. Called by tests/unit/directory/fetch*.c.
 * Time is stepped by hand; every connection is pumped until nothing moves.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_FETCH_BENCH_H
#define TUNIC_TESTS_UNIT_DIRECTORY_FETCH_BENCH_H

#include "directory/consensus_archive.h"
#include "directory/fetch.h"
#include "protocol/memory_budget.h"
#include "tests/unit/directory/documents.h"

enum { BENCH_AUTHORITIES = 4, BENCH_RELAYS = 6, BENCH_CONNECTIONS = 16, BENCH_EPOCHS = 12, BENCH_LISTED = 3000, BENCH_LINE_BYTES = 4096 };

/* How a source answers who asks for the consensus. */
enum conduct {
  CONDUCT_NEWEST,   /* as it should */
  CONDUCT_WHOLE,    /* has no diffs */
  CONDUCT_BAD_DIFF, /* its diffs yield something else */
  CONDUCT_STALE,    /* has nothing newer */
  CONDUCT_OLD,      /* hands out the epoch before the asker's */
  CONDUCT_NEXT,     /* hands out the epoch after the asker's, though there are newer ones */
  CONDUCT_CUT,      /* half the document */
  CONDUCT_GARBAGE,  /* not zstd at all */
  CONDUCT_FORGED,   /* signed by too few */
  CONDUCT_OTHER,    /* another of the asker's epoch, signed by a quorum as well */
  CONDUCT_ENDLESS,  /* announces more than anybody takes */
  CONDUCT_LARGEST,  /* as much as anybody takes, and nothing of use */
  CONDUCT_SILENT,   /* never answers */
  CONDUCT_HANGS_UP, /* closes when asked */
  CONDUCT_REFUSES,  /* can't be connected to */
  CONDUCTS
};

/* How it answers who asks for the next network file. */
enum file_conduct {
  FILES_SHOWN,   /* as it should, once a consensus of that serial was decided */
  FILES_HIDDEN,  /* has none */
  FILES_OLD,     /* the one that the asker has */
  FILES_CUT,
  FILES_GARBAGE,
  FILES_FORGED,  /* signed by too few */
  FILES_ENDLESS, /* announces more than anybody takes */
  FILES_SILENT,
  FILES_OTHER,   /* another of serial 2, signed by a quorum as well */
  FILE_CONDUCTS
};

struct fetch_bench_source {
  enum conduct conduct;
  enum file_conduct files;
  uint32_t files_given;
  uint32_t asked;      /* connections */
  uint32_t handed_in;  /* descriptors */
  uint32_t diffs_given, wholes_given;
  int64_t clock_ms;    /* how far its clock is ahead of the true time */
  uint64_t bytes_per_s, line_bytes; /* towards the client; 0: no limit; what its line takes at once */
  instant line_at;
  struct guarded_key *key;
  struct link_self self;
};

struct fetch_bench_connection { bool used, is_open; struct id id; struct fetch_bench_source *source; struct trunk *trunk; };

struct fetch_bench {
  struct network_file network, next;        /* next: serial 2, once it was made */
  struct document *network_text, *next_text;
  struct network_chain *networks;           /* the client's: serial 1 at first */
  struct fetch_bench_source authorities[BENCH_AUTHORITIES], relays[BENCH_RELAYS];
  uint32_t listed;                        /* relays of the epochs after the first; 0: those of the bench */
  struct relay_entry entries[BENCH_RELAYS];
  struct exit_summary summaries[BENCH_RELAYS];
  struct consensus *epochs[BENCH_EPOCHS]; /* by epoch; made when first wanted, an interval apart */
  uint64_t newest;                        /* the epoch that is handed out */
  struct consensus_archive archive;       /* up to it */
  struct fetch_bench_connection connections[BENCH_CONNECTIONS];
  struct fetch_bench_connection guard; /* relay 0's end of the client's link to it */
  struct trunk *guard_trunk;           /* the client's; NULL: there is none */
  struct memory_budget budget;
  struct cell_pool *cells;
  struct trunk_pool pool, servers;
  struct id_table table;
  struct effect_queue effects;
  struct random_stream random;
  struct link_self self;
  struct trace trace;
  uint32_t warnings, notices;
  char last_notice[TRACE_LINE_BYTES];
  struct fetch *fetch;
  instant now;
  int64_t skew_ms; /* of the client's clock */
};

/* The true time at the start is the moment when epoch 1 becomes valid. */
void fetch_bench_init(struct fetch_bench *, const char *test);
/* The same with production's timing: the client is far away, so that so many bytes a second come from each source, and from epoch 2
 * on so many relays are listed (0: as before), which nobody can ask. */
void fetch_bench_init_far(struct fetch_bench *, const char *test, uint32_t listed, uint64_t bytes_per_s);
void fetch_bench_wipe(struct fetch_bench *);
struct consensus *fetch_bench_consensus(struct fetch_bench *, uint64_t epoch);
struct date fetch_bench_date(const struct fetch_bench *); /* the true one */
/* The client's clock is off by so much from now on. */
void fetch_bench_set_clock(struct fetch_bench *, int64_t skew_ms);
/* Starts with this epoch from disk; 0: none. */
void fetch_bench_start(struct fetch_bench *, uint64_t epoch);
/* Before the start: the client has a guard, relay 0, and a link to it that is open. */
void fetch_bench_open_guard(struct fetch_bench *);
/* Epochs up to this one are decided now. */
void fetch_bench_decide(struct fetch_bench *, uint64_t epoch);
/* Serial 2 starts at this epoch, with another expiry date. */
void fetch_bench_make_next(struct fetch_bench *, uint64_t starts);
/* A file of serial 2 with so many signatures, of which `variant` makes different ones. */
struct document *fetch_bench_next(struct fetch_bench *, uint64_t starts, uint32_t variant, uint32_t signers);
void fetch_bench_conduct_files(struct fetch_bench *, enum file_conduct authorities, enum file_conduct relays);
uint32_t fetch_bench_serial(const struct fetch_bench *); /* the newest that the client knows */
/* Lets time pass. */
void fetch_bench_run(struct fetch_bench *, uint64_t duration);
/* Until the client holds this epoch; false: not within that time. */
bool fetch_bench_run_until(struct fetch_bench *, uint64_t epoch, uint64_t most);
uint64_t fetch_bench_epoch(const struct fetch_bench *); /* that the client holds; 0: none */
uint32_t fetch_bench_asked(const struct fetch_bench *, bool authorities);
void fetch_bench_conduct(struct fetch_bench *, enum conduct authorities, enum conduct relays);
/* The client's status text of that name; "" if it has none. */
const char *fetch_bench_text(struct fetch_bench *, const char *name);

#endif
