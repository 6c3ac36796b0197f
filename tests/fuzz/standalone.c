/* Runs a fuzz target without libFuzzer: each file of its corpus, then mutations of them from a printed seed.
 *
 *   fuzz-NAME [folder of the corpus]        otherwise tests/fuzz/corpus/NAME, from the top of the tree
 *   TUNIC_SEED=n TUNIC_FUZZ_RUNS=n fuzz-NAME
 *
 * When the target dies, the input is left in fuzz-NAME.input beside the program; that file as the only one of a
 * folder replays it.
 */
#define _XOPEN_SOURCE 700 /* scandir, PATH_MAX */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  INPUT_MAX = 4096,       /* of a mutation; files may be longer */
  FILE_MAX = 1 << 20,
  CORPUS_MAX = 4096,
  RUNS = 2000,
  EDITS_MAX = 6,
  INSERT_MAX = 32,
};

struct input {
  uint8_t *bytes;
  size_t len;
};

struct corpus {
  struct input inputs[CORPUS_MAX];
  size_t count;
};

static struct corpus corpus;
static struct input under_test; /* for the callback of a dying process, which is handed nothing */
static char input_path[PATH_MAX];

static _Noreturn void give_up(const char *what, const char *name) {
  fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
  exit(1);
}

/* splitmix64: any state is good, and the n-th run's state follows from the seed alone. */
static uint64_t draw(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static size_t draw_below(uint64_t *state, size_t end) {
  return (size_t)(draw(state) % end);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  if (text == NULL) return otherwise;
  char *end;
  errno = 0;
  uint64_t number = strtoull(text, &end, 0);
  if (errno == 0 && (end == text || *end != '\0')) errno = EINVAL;
  if (errno != 0) give_up("Cannot use", name);
  return number;
}

static void save_input(void) {
  FILE *file = fopen(input_path, "wb");
  if (file == NULL) return;
  size_t written = fwrite(under_test.bytes, 1, under_test.len, file);
  if (fclose(file) == 0 && written == under_test.len) fprintf(stderr, "The input is in %s\n", input_path);
}

static void save_input_on_abort(int number) {
  save_input();
  signal(number, SIG_DFL);
  raise(number);
}

#ifdef __SANITIZE_ADDRESS__
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static void watch_for_death(void) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_death_callback(save_input);
#endif
  signal(SIGABRT, save_input_on_abort);
}

/* The target gets a copy of exactly this size, so that the sanitizer sees the first byte read beyond it. */
static bool run_target(const uint8_t *bytes, size_t len) {
  uint8_t *copy = malloc(len);
  if (copy == NULL && len != 0) give_up("Out of memory for", "an input");
  if (len != 0) memcpy(copy, bytes, len);
  under_test = (struct input){copy, len};
  int result = LLVMFuzzerTestOneInput(copy, len);
  bool accepted = result == 0 || result == -1;
  if (!accepted) {
    fprintf(stderr, "The target returned %d\n", result);
    save_input();
  }
  under_test = (struct input){NULL, 0};
  free(copy);
  return accepted;
}

static struct input read_input(const char *path) {
  FILE *file = fopen(path, "rb");
  uint8_t *bytes = malloc(FILE_MAX);
  if (file == NULL || bytes == NULL) give_up("Cannot read", path);
  size_t len = fread(bytes, 1, FILE_MAX, file);
  if (ferror(file) || fgetc(file) != EOF) {
    if (!ferror(file)) errno = EFBIG;
    give_up("Cannot read", path);
  }
  fclose(file);
  uint8_t *fitted = realloc(bytes, len + 1);
  return (struct input){fitted != NULL ? fitted : bytes, len};
}

/* In the order of names: the same seed must give the same mutations on every machine. */
static void read_corpus(const char *folder) {
  struct dirent **entries;
  int count = scandir(folder, &entries, NULL, alphasort);
  if (count < 0 && errno == ENOENT) return;
  if (count < 0) give_up("Cannot list", folder);
  for (int i = 0; i < count; i++) {
    if (entries[i]->d_name[0] != '.') {
      char path[PATH_MAX];
      int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
      errno = len < (int)sizeof path ? E2BIG : ENAMETOOLONG;
      if (len >= (int)sizeof path || corpus.count == CORPUS_MAX) give_up("Cannot take all of", folder);
      corpus.inputs[corpus.count++] = read_input(path);
    }
    free(entries[i]);
  }
  free(entries);
}

static void free_corpus(void) {
  for (size_t i = 0; i < corpus.count; i++) free(corpus.inputs[i].bytes);
}

static void fill_random(uint64_t *state, uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)draw(state);
}

/* Moves the tail from `at` by len bytes, or by what fits; returns the size of the gap. */
static size_t open_gap(uint8_t *bytes, size_t *len, size_t at, size_t gap) {
  if (gap > INPUT_MAX - *len) gap = INPUT_MAX - *len;
  memmove(bytes + at + gap, bytes + at, *len - at);
  *len += gap;
  return gap;
}

static void delete_range(uint64_t *state, uint8_t *bytes, size_t *len, size_t at) {
  size_t range = 1 + draw_below(state, *len - at);
  memmove(bytes + at, bytes + at + range, *len - at - range);
  *len -= range;
}

/* A range of another input of the corpus takes the place of what stands at `at`. */
static void splice(uint64_t *state, uint8_t *bytes, size_t *len, size_t at) {
  if (corpus.count == 0) return;
  struct input other = corpus.inputs[draw_below(state, corpus.count)];
  if (other.len == 0) return;
  size_t from = draw_below(state, other.len);
  size_t range = 1 + draw_below(state, other.len - from);
  if (range > INPUT_MAX - at) range = INPUT_MAX - at;
  memcpy(bytes + at, other.bytes + from, range);
  if (at + range > *len) *len = at + range;
}

/* One change to an input of up to INPUT_MAX bytes. */
static void edit(uint64_t *state, uint8_t *bytes, size_t *len) {
  static const uint8_t telling[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, ' ', '\n', '0', '9'};
  if (*len == 0) {
    *len = 1 + draw_below(state, INSERT_MAX);
    fill_random(state, bytes, *len);
    return;
  }
  size_t at = draw_below(state, *len);
  size_t gap;
  switch (draw(state) % 8) {
  case 0: bytes[at] ^= (uint8_t)(1U << draw_below(state, 8)); break;
  case 1: bytes[at] = (uint8_t)draw(state); break;
  case 2: bytes[at] = telling[draw_below(state, sizeof telling)]; break;
  case 3: bytes[at] = (uint8_t)(bytes[at] + (draw(state) % 2 ? 1 : -1)); break;
  case 4:
    gap = open_gap(bytes, len, at, 1 + draw_below(state, INSERT_MAX));
    fill_random(state, bytes + at, gap);
    break;
  case 5: delete_range(state, bytes, len, at); break;
  case 6: *len = at; break;
  case 7: splice(state, bytes, len, at); break;
  }
}

/* An input of the corpus with a few changes, or, one time in eight, nothing but random bytes. */
static size_t mutate(uint64_t *state, uint8_t bytes[INPUT_MAX]) {
  if (corpus.count == 0 || draw(state) % 8 == 0) {
    size_t len = draw_below(state, draw(state) % 2 ? 64 : INPUT_MAX + 1);
    fill_random(state, bytes, len);
    return len;
  }
  struct input origin = corpus.inputs[draw_below(state, corpus.count)];
  size_t len = origin.len < INPUT_MAX ? origin.len : INPUT_MAX;
  memcpy(bytes, origin.bytes, len);
  size_t edits = 1 + draw_below(state, EDITS_MAX);
  for (size_t i = 0; i < edits; i++) edit(state, bytes, &len);
  return len;
}

/* Counts as one test, whatever the number of runs. */
static bool run_mutations(uint64_t seed, uint64_t runs) {
  uint8_t bytes[INPUT_MAX];
  bool passed = true;
  for (uint64_t run = 0; run < runs; run++) {
    uint64_t state = seed;
    state = draw(&state) ^ run;
    size_t len = mutate(&state, bytes);
    passed = run_target(bytes, len) && passed;
  }
  return passed;
}

int main(int argc, char **argv) {
  const char *base = strrchr(argv[0], '/');
  base = base == NULL ? argv[0] : base + 1;
  const char *name = strncmp(base, "fuzz-", 5) == 0 ? base + 5 : base;
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s%s", argc > 1 ? argv[1] : "tests/fuzz/corpus/", argc > 1 ? "" : name);
  snprintf(input_path, sizeof input_path, "%s.input", argv[0]);

  uint64_t chance = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
  uint64_t seed = number_from_environment("TUNIC_SEED", chance);
  uint64_t runs = number_from_environment("TUNIC_FUZZ_RUNS", RUNS);
  read_corpus(folder);
  printf("TUNIC_SEED=%" PRIu64 ": %zu files, %" PRIu64 " mutations\n", seed, corpus.count, runs);
  fflush(stdout);
  watch_for_death();

  size_t passed = 0, failed = 0;
  for (size_t i = 0; i < corpus.count; i++) {
    bool accepted = run_target(corpus.inputs[i].bytes, corpus.inputs[i].len);
    *(accepted ? &passed : &failed) += 1;
  }
  *(run_mutations(seed, runs) ? &passed : &failed) += 1;
  free_corpus();
  printf("%zu passed, %zu failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
