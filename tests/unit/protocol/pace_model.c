/* The pace at work: links that share one slow place in the network, each with the shipped pace above a model of the
 * system's own control (which doubles until nothing is gained, then keeps twice the path's content on the way, and
 * nearly stops for 200 ms when for 10 s no round trip was as short as the least).
 * The figures appear with `--verbose`; asserted is what a user would notice: speed, what waits, and who gets what. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/pace.h"

enum { LINKS_MAX = 8, QUEUE_PIECES = 1 << 16, ACK_SLOTS = 1024, SEGMENT = 1448, ACKS_KEPT = 64 };

#define STEP MILLISECONDS

struct piece { uint32_t link, bytes, sent_step; };

struct modelled_link {
  struct pace pace;
  bool has_no_pace, is_greedy; /* greedy: never lets the queue run empty */
  uint32_t base;          /* steps there and back */
  uint32_t circuits;      /* that it carries */
  double supply;          /* what the node has to send, bytes a step; 0: without end */
  double backlog, budget, window, fastest;
  uint64_t flying, acknowledged;
  double round_trip, least, variation; /* steps */
  double control_least;   /* the control's own, of the last ten seconds */
  uint32_t control_least_step, paused_until, pauses;
  struct { uint32_t bytes; double round_trip; } acks[ACK_SLOTS];
  uint32_t round_step;
  uint64_t round_acknowledged;
  bool is_past_start;
  uint32_t plateaus;
  double last_gain;
  uint64_t counted; /* acknowledged since the measurement began */
};

struct network {
  struct modelled_link links[LINKS_MAX];
  uint32_t count, step, head, tail;
  struct piece pieces[QUEUE_PIECES];
  double per_step, served, queued, buffer, jitter; /* bytes; jitter in steps */
  uint32_t gather; /* acknowledgements come together, once in so many steps; 0: at once */
  uint64_t seed;
  double queue_sum;
  uint32_t queue_steps;
};

static struct network *network_make(double megabytes_per_s, double buffer_ms, double jitter_ms) {
  struct network *network = calloc(1, sizeof *network);
  cr_assert_not_null(network);
  network->per_step = megabytes_per_s * 1000;
  network->buffer = network->per_step * buffer_ms;
  network->jitter = jitter_ms;
  network->seed = 7;
  return network;
}

static struct modelled_link *network_join(struct network *network, uint32_t base_ms) {
  struct modelled_link *link = &network->links[network->count++];
  cr_assert_lt(base_ms + 200, ACK_SLOTS);
  *link = (struct modelled_link){.base = base_ms, .window = 10 * SEGMENT, .least = 1e9, .control_least = 1e9};
  pace_init(&link->pace);
  return link;
}

static double draw(struct network *network) {
  network->seed = network->seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(network->seed >> 33) / (double)(1u << 31);
}

static void pause_control(const struct network *network, struct modelled_link *link) {
  link->paused_until = network->step + 200;
  link->pauses++;
}

/* Once in a round trip the system's control looks at what arrived. */
static void control(struct network *network, struct modelled_link *link) {
  if (network->step - link->round_step < link->round_trip) return;
  double rate = (double)(link->acknowledged - link->round_acknowledged) / (network->step - link->round_step);
  link->round_step = network->step;
  link->round_acknowledged = link->acknowledged;
  link->fastest = fmax(rate, link->fastest * 0.98);
  if (!link->is_past_start) {
    link->plateaus = rate < link->last_gain * 1.25 ? link->plateaus + 1 : 0;
    if (rate >= link->last_gain * 1.25) link->last_gain = rate;
    if (link->plateaus >= 3 && link->backlog > 0) link->is_past_start = true;
  }
  double wanted = fmax(((link->is_past_start ? 2 : 2.9) * link->control_least + network->gather) * link->fastest, 10 * SEGMENT);
  link->window = link->is_past_start ? wanted : fmax(wanted, link->window);
  if (link->is_greedy) link->window = network->buffer + network->per_step * link->base;
}

static void acknowledge(struct network *network, struct modelled_link *link) {
  uint32_t at = network->step % ACK_SLOTS, next = (at + 1) % ACK_SLOTS;
  if (link->acks[at].bytes == 0) return;
  if (network->gather > 0 && network->step % network->gather > 0) {
    link->acks[next].round_trip = fmax(link->acks[next].round_trip, link->acks[at].round_trip + 1); /* the oldest's */
    link->acks[next].bytes += link->acks[at].bytes;
    link->acks[at].bytes = 0;
    link->acks[at].round_trip = 0;
    return;
  }
  double took = link->acks[at].round_trip + network->jitter * draw(network);
  link->flying -= link->acks[at].bytes;
  link->acknowledged += link->acks[at].bytes;
  link->counted += link->acks[at].bytes;
  link->variation = link->variation * 3 / 4 + fabs(took - link->round_trip) / 4;
  link->round_trip = link->round_trip == 0 ? took : link->round_trip * 7 / 8 + took / 8;
  link->least = fmin(link->least, took);
  bool is_old = network->step - link->control_least_step > 10000;
  if (took <= link->control_least || is_old) {
    if (is_old && !link->is_greedy) pause_control(network, link);
    link->control_least = took;
    link->control_least_step = network->step;
  }
  link->acks[at].bytes = 0;
  link->acks[at].round_trip = 0;
  control(network, link);
}

/* [PACE-8] It takes what it has on the way for what the path carries, and doubles again. */
static void renew_control(const struct network *network, struct modelled_link *link) {
  link->is_past_start = false;
  link->plateaus = 0;
  link->last_gain = link->fastest = 0;
  link->control_least = link->least;
  link->control_least_step = network->step;
}

static void measure(struct network *network, struct modelled_link *link) {
  instant now = (network->step + 1) * STEP;
  if (link->has_no_pace || !pace_is_due(&link->pace, now) || link->round_trip == 0) return;
  struct pace_sample sample = {.acknowledged = link->acknowledged, .round_trip = (uint64_t)(link->round_trip * STEP),
                               .variation = (uint64_t)(link->variation * STEP),
                               .least_round_trip = (uint64_t)(link->least * STEP),
                               .is_pausing = network->step < link->paused_until, .waits = link->backlog >= SEGMENT, .circuits = link->circuits};
  pace_measure(&link->pace, now, &sample);
  if (link->pace.is_renewal_due) renew_control(network, link);
}

static void supply(struct modelled_link *link) {
  link->backlog = link->supply == 0 ? 1e9 : link->backlog + link->supply;
  double paced = link->pace.limit == 0 ? 1e9 : (double)link->pace.limit / 1000;
  link->budget = fmin(link->budget + paced, fmax(2 * paced, SEGMENT));
}

/* One segment; false: nothing may leave now. */
static bool send_segment(struct network *network, struct modelled_link *link) {
  double window = network->step < link->paused_until ? 4 * SEGMENT : link->window;
  if (link->backlog < SEGMENT || link->budget < SEGMENT || (double)link->flying + SEGMENT > window) return false;
  link->budget -= SEGMENT;
  if (network->queued + SEGMENT > network->buffer) { /* dropped: sent again, at the earliest when the next step begins */
    link->budget = 0;
    return false;
  }
  network->pieces[network->head++ % QUEUE_PIECES] = (struct piece){(uint32_t)(link - network->links), SEGMENT, network->step};
  cr_assert_lt(network->head - network->tail, QUEUE_PIECES);
  network->queued += SEGMENT;
  link->flying += SEGMENT;
  link->backlog -= SEGMENT;
  return true;
}

/* All send in turn, another one first in each step. */
static void send_all(struct network *network) {
  bool goes_on = true;
  for (uint32_t i = 0; i < network->count; i++) supply(&network->links[i]);
  while (goes_on) {
    goes_on = false;
    for (uint32_t i = 0; i < network->count; i++)
      if (send_segment(network, &network->links[(i + network->step) % network->count])) goes_on = true;
  }
}

static void serve(struct network *network) {
  network->served = fmin(network->served + network->per_step, network->per_step + SEGMENT);
  while (network->head != network->tail && network->served >= SEGMENT) {
    struct piece *piece = &network->pieces[network->tail++ % QUEUE_PIECES];
    struct modelled_link *link = &network->links[piece->link];
    uint32_t at = (network->step + link->base) % ACK_SLOTS;
    link->acks[at].bytes += piece->bytes;
    link->acks[at].round_trip = fmax(link->acks[at].round_trip, network->step - piece->sent_step + link->base);
    network->served -= piece->bytes;
    network->queued -= piece->bytes;
  }
}

static void run(struct network *network, uint32_t milliseconds) {
  network->queue_sum = network->queue_steps = 0;
  for (uint32_t i = 0; i < network->count; i++) network->links[i].counted = 0;
  for (uint32_t end = network->step + milliseconds; network->step < end; network->step++) {
    for (uint32_t i = 0; i < network->count; i++) acknowledge(network, &network->links[i]);
    for (uint32_t i = 0; i < network->count; i++) measure(network, &network->links[i]);
    send_all(network);
    network->queue_sum += network->queued;
    network->queue_steps++;
    serve(network);
  }
}

/* Of what the slow place can carry, in this link's last run. */
static double share(const struct network *network, const struct modelled_link *link) {
  return (double)link->counted / (network->per_step * network->queue_steps);
}
static double queue_ms(const struct network *network) { return network->queue_sum / network->queue_steps / network->per_step; }

static void say(const char *what, const struct network *network) {
  fprintf(stderr, "%-44s queue %5.1f ms, shares", what, queue_ms(network));
  for (uint32_t i = 0; i < network->count; i++) fprintf(stderr, " %.3f", share(network, &network->links[i]));
  fprintf(stderr, "\n");
}

/* [PACE-4] [PACE-6] Alone on a path: nearly all of it, with little that waits. */
Test(pace_model, one_link_fills_its_path_and_little_waits) {
  const double rates[] = {1.25, 5, 25, 125};
  const uint32_t bases[] = {10, 60, 200};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 3; j++) {
      struct network *network = network_make(rates[i], 100, 3);
      struct modelled_link *link = network_join(network, bases[j]);
      run(network, 4000);
      run(network, 10000);
      char what[64];
      snprintf(what, sizeof what, "%g MB/s, %u ms", rates[i], bases[j]);
      say(what, network);
      cr_expect_gt(share(network, link), 0.93);
      cr_expect_lt(queue_ms(network), 10 + 16 * sqrt(25 / rates[i]));
      free(network);
    }
}

Test(pace_model, short_and_long_paths_share_a_slow_place) {
  struct network *network = network_make(25, 100, 1);
  struct modelled_link *near = network_join(network, 60), *far = network_join(network, 150);
  run(network, 10000);
  run(network, 30000);
  say("60 ms beside 150 ms", network);
  double ratio = share(network, near) / share(network, far);
  cr_expect(ratio > 0.5 && ratio < 2, "%.2f", ratio);
  cr_expect_gt(share(network, near) + share(network, far), 0.9);
  free(network);
}

/* [PACE-4] What two links get is by how many circuits wait for each, whatever their round trips. */
Test(pace_model, who_carries_more_circuits_gets_more) {
  const uint32_t circuits[][2] = {{1, 1}, {2, 6}, {6, 2}, {1, 7}, {4, 4}, {1, 14}, {20, 20}};
  const uint32_t bases[][2] = {{60, 150}, {60, 60}, {34, 120}, {20, 200}, {10, 200}};
  for (int i = 0; i < 7; i++)
    for (int j = 0; j < 5; j++) {
      struct network *network = network_make(25, 100, 1);
      struct modelled_link *near = network_join(network, bases[j][0]), *far = network_join(network, bases[j][1]);
      near->circuits = circuits[i][0];
      far->circuits = circuits[i][1];
      run(network, 10000);
      run(network, 30000);
      char what[64];
      snprintf(what, sizeof what, "%u circuits at %u ms, %u at %u ms", near->circuits, bases[j][0], far->circuits, bases[j][1]);
      say(what, network);
      double ratio = share(network, near) / near->circuits / (share(network, far) / far->circuits);
      bool is_told_apart = circuits[i][0] + circuits[i][1] < 15; /* in 25 MB/s */
      uint32_t longer = bases[j][1] / bases[j][0]; /* times; from 20 on the control's pauses decide, and less is known */
      double least = longer < 5 ? 0.33 : longer < 20 ? 0.2 : 0.04;
      if (is_told_apart) cr_expect(ratio > least && ratio < 2.5, "%s: %.2f", what, ratio);
      cr_expect_lt(queue_ms(network), 45, "%s", what);
      if (longer < 20) cr_expect(near->pace.state != PACE_YIELD && far->pace.state != PACE_YIELD, "%s", what);
      cr_expect_gt(share(network, near) + share(network, far), 0.9);
      free(network);
    }
}

Test(pace_model, who_comes_later_gets_a_fair_share) {
  struct network *network = network_make(25, 100, 1);
  struct modelled_link *first = network_join(network, 60);
  run(network, 10000);
  struct modelled_link *second = network_join(network, 60);
  run(network, 10000);
  run(network, 30000);
  say("60 ms, one 10 s later", network);
  double ratio = share(network, first) / share(network, second);
  cr_expect(ratio > 0.5 && ratio < 2, "%.2f", ratio);
  free(network);
}

Test(pace_model, a_path_that_changes_is_followed) {
  struct network *network = network_make(25, 100, 1);
  struct modelled_link *link = network_join(network, 60);
  run(network, 5000);
  network->per_step = 5000;
  network->buffer = 5000 * 100;
  run(network, 3000);
  run(network, 5000);
  say("25 MB/s that became 5", network);
  cr_expect_gt(share(network, link), 0.9);
  cr_expect_lt(queue_ms(network), 40);
  network->per_step = 25000;
  network->buffer = 25000 * 100;
  run(network, 3000);
  run(network, 5000);
  say("and 25 again", network);
  cr_expect_gt(share(network, link), 0.9);
  free(network);
}

static struct modelled_link *join_beside_greedy(struct network *network, uint32_t base_ms, bool with_pace) {
  struct modelled_link *link = network_join(network, base_ms), *greedy = network_join(network, base_ms);
  link->has_no_pace = !with_pace;
  greedy->has_no_pace = greedy->is_greedy = true;
  return link;
}

/* [PACE-7] Also where the queue is so long that the limit is at its least before it could fall far. */
Test(pace_model, beside_one_that_fills_a_long_queue_nobody_starves) {
  const double rates[] = {5, 25};
  const uint32_t bases[] = {20, 60, 200};
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 3; j++) {
      struct network *network = network_make(rates[i], 100, 1);
      struct modelled_link *link = join_beside_greedy(network, bases[j], true);
      run(network, 10000);
      run(network, 30000);
      say("beside one that fills 100 ms", network);
      cr_expect_gt(share(network, link), 0.3, "%g MB/s, %u ms", rates[i], bases[j]);
      free(network);
    }
}

/* [PACE-7] */
Test(pace_model, beside_one_that_fills_the_queue_it_gets_what_the_system_gets) {
  double shares[2];
  for (int with_pace = 0; with_pace < 2; with_pace++) {
    struct network *network = network_make(25, 60, 1);
    struct modelled_link *link = join_beside_greedy(network, 60, with_pace);
    run(network, 10000);
    run(network, 30000);
    say(with_pace ? "beside one that fills the queue" : "the same without a pace", network);
    shares[with_pace] = share(network, link);
    free(network);
  }
  cr_expect_gt(shares[1], shares[0] * 0.3);
}

/* [PACE-3] */
Test(pace_model, who_has_little_to_send_is_not_slowed_when_it_has_much) {
  double shares[2];
  for (int with_pace = 0; with_pace < 2; with_pace++) {
    struct network *network = network_make(25, 100, 1);
    struct modelled_link *link = network_join(network, 60);
    link->has_no_pace = !with_pace;
    link->supply = 50;
    run(network, 10000);
    link->supply = 0;
    run(network, 1000);
    say(with_pace ? "the first second after ten of little" : "the same without a pace", network);
    shares[with_pace] = share(network, link);
    free(network);
  }
  cr_expect_gt(shares[1], shares[0] * 0.9);
}

/* One link alone, without a pace and with one: never far below what the system gets by itself. */
static void compare(const char *what, double rate, uint32_t base_ms, double jitter_ms, uint32_t gather_ms, double least_share) {
  double shares[2];
  for (int with_pace = 0; with_pace < 2; with_pace++) {
    struct network *network = network_make(rate, 100, jitter_ms);
    struct modelled_link *link = network_join(network, base_ms);
    link->has_no_pace = !with_pace;
    network->gather = gather_ms;
    run(network, 5000);
    run(network, 30000);
    char line[80];
    snprintf(line, sizeof line, "%s, %g MB/s, %u ms%s", what, rate, base_ms, with_pace ? "" : ", no pace");
    say(line, network);
    shares[with_pace] = share(network, link);
    free(network);
  }
  cr_expect_gt(shares[1], shares[0] * least_share, "%s: %.3f of %.3f", what, shares[1], shares[0]);
}

/* [PACE-3] Round trips that vary say nothing of a queue. */
Test(pace_model, jitter_is_no_queue) {
  const double rates[] = {1.25, 25, 125}, jitters[] = {20, 40, 100};
  const uint32_t bases[] = {30, 60, 150};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 3; k++) {
        char what[32];
        snprintf(what, sizeof what, "jitter of %g ms", jitters[j]);
        compare(what, rates[i], bases[k], jitters[j], 0, 0.95);
      }
}

/* As on radio links, which send what waits in bursts. */
Test(pace_model, acknowledgements_that_come_together_cost_little) {
  const uint32_t bases[] = {10, 60, 150};
  for (int i = 0; i < 3; i++) {
    compare("acknowledged every 10 ms", 25, bases[i], 1, 10, 0.8);
    compare("acknowledged every 40 ms", 25, bases[i], 1, 40, 0.8);
  }
}

Test(pace_model, very_slow_and_very_fast_paths_are_filled) {
  compare("slow", 0.064, 60, 1, 0, 0.95);
  compare("slow", 0.064, 200, 1, 0, 0.95);
  compare("fast", 400, 20, 1, 0, 0.95);
}

/* The least round trip is the old route's for minutes: what is longer looks like a queue that nobody can shorten. The
 * control believes in it for up to ten seconds more. */
Test(pace_model, another_route_costs_little) {
  struct network *network = network_make(25, 100, 3);
  struct modelled_link *link = network_join(network, 60);
  run(network, 10000);
  link->base = 160;
  run(network, 10000);
  say("60 ms that became 160, the first 10 s", network);
  cr_expect_gt(share(network, link), 0.3);
  run(network, 10000);
  say("the next 10", network);
  run(network, 30000);
  say("and 30 more", network);
  cr_expect_gt(share(network, link), 0.85);
  link->base = 20;
  run(network, 5000);
  run(network, 10000);
  say("and 20 ms", network);
  cr_expect_gt(share(network, link), 0.95);
  cr_expect_lt(queue_ms(network), 40);
  free(network);
}

/* [PACE-3] */
Test(pace_model, a_process_that_stood_still_goes_on_as_before) {
  struct network *network = network_make(25, 100, 3);
  struct modelled_link *link = network_join(network, 60);
  run(network, 10000);
  for (int i = 0; i < 3; i++) {
    link->has_no_pace = true; /* nobody looks */
    link->supply = 0.001;
    link->backlog = 128 * 1024;
    run(network, 5000);
    link->has_no_pace = false;
    link->supply = 0;
    run(network, 1000);
    say("the second after a stop of 5 s", network);
    cr_expect_gt(share(network, link), 0.9);
    cr_expect_lt(queue_ms(network), 20);
  }
  free(network);
}

/* [PACE-6] Whoever was held far below what the path carries by now is not so for long, on long paths too. */
Test(pace_model, a_path_that_became_ten_times_faster_is_found) {
  const uint32_t bases[] = {20, 60, 200};
  for (int i = 0; i < 3; i++) {
    struct network *network = network_make(2.5, 100, 3);
    struct modelled_link *link = network_join(network, bases[i]);
    run(network, 10000);
    network->per_step = 25000;
    network->buffer = 25000 * 100;
    run(network, 5000);
    say("2.5 MB/s that became 25, the first 5 s", network);
    run(network, 5000);
    say("and the next 5", network);
    cr_expect_gt(share(network, link), 0.8, "%u ms", bases[i]);
    free(network);
  }
}

/* [PACE-7] They never take each other for somebody whom nobody can help. */
Test(pace_model, many_that_come_one_after_another_share) {
  for (uint32_t count = 2; count <= LINKS_MAX; count *= 2)
    for (uint32_t gap_ms = 0; gap_ms <= 3500; gap_ms += 250) {
      struct network *network = network_make(25, 100, 3);
      for (uint32_t i = 0; i < count; i++) {
        network_join(network, 60);
        if (gap_ms > 0) run(network, gap_ms);
      }
      run(network, 20000);
      run(network, 30000);
      if (gap_ms == 1500) say("many, 1.5 s after each other", network);
      cr_expect_lt(queue_ms(network), 40, "%u links, %u ms apart", count, gap_ms);
      for (uint32_t i = 0; i < count; i++) cr_expect_gt(share(network, &network->links[i]), 0.5 / count);
      free(network);
    }
}

/* [PACE-8] Neither a link that fills its path nor one that sends a little all the time ever stands still for 200 ms. */
Test(pace_model, a_link_whose_round_trips_are_known_has_no_pauses) {
  const double supplies[] = {0, 2500, 50};
  for (int i = 0; i < 3; i++) {
    struct network *network = network_make(25, 100, 3);
    struct modelled_link *link = network_join(network, 60);
    link->supply = supplies[i];
    run(network, 60000);
    cr_expect_eq(link->pauses, 0, "%g bytes a millisecond", supplies[i]);
    cr_expect_gt(share(network, link), (supplies[i] == 0 ? 25000 : supplies[i]) / 25000 * 0.97);
    link->has_no_pace = true;
    run(network, 30000);
    cr_expect_gt(link->pauses, 0, "the model has them");
    free(network);
  }
}

/* [PACE-8] A least round trip that is no longer true is not given to the control again. */
Test(pace_model, a_longer_route_is_believed_by_the_control) {
  struct network *network = network_make(25, 100, 3);
  struct modelled_link *link = network_join(network, 60);
  run(network, 12000);
  cr_assert_eq(link->pauses, 0);
  link->base = 160;
  run(network, 11000);
  cr_expect_gt(link->pauses, 0);
  cr_expect_gt(link->control_least, 150);
  free(network);
}

/* [PACE-5] [PACE-7] What others keep waiting holds nobody back for long. */
Test(pace_model, much_after_little_beside_one_that_fills_the_queue) {
  double shares[2];
  for (int with_pace = 0; with_pace < 2; with_pace++) {
    struct network *network = network_make(25, 60, 1);
    struct modelled_link *link = join_beside_greedy(network, 60, with_pace);
    link->supply = 50;
    run(network, 10000);
    cr_expect_eq(link->pace.limit, 0, "the little it sends is not what waits");
    link->supply = 0;
    run(network, 4000);
    run(network, 5000);
    say(with_pace ? "beside one that fills the queue, from 4 s on" : "the same without a pace", network);
    shares[with_pace] = share(network, link);
    free(network);
  }
  cr_expect_gt(shares[1], shares[0] * 0.7);
}
