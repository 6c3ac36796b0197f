/* An open link whose bytes, both ways, are cut, changed, dropped, doubled or made up as the input says.
 * The first byte chooses the suite; then each byte is a step. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/link_sides.h"

static void open_both(struct side *initiator, struct side *responder) {
  for (int i = 0; i < 3; i++) {
    side_work(initiator);
    side_speak(initiator, SIZE_MAX);
    side_hear_truth(responder, SIZE_MAX);
    side_work(responder);
    side_speak(responder, SIZE_MAX);
    side_hear_truth(initiator, SIZE_MAX);
  }
  require(link_state(initiator->link) == LINK_OPEN && link_state(responder->link) == LINK_OPEN);
}

/* Bytes that were said before, from anywhere: replays, reflections, losses. */
static void hear_again(struct side *to, const struct side *from, struct script *s) {
  size_t at = script_size(s) * 8, len = script_size(s);
  if (at >= from->said_len) return;
  side_hear(to, from->said + at, len < from->said_len - at ? len : from->said_len - at);
}

static void step(struct side *from, struct side *to, uint8_t command, struct script *s) {
  size_t a;
  switch (command % 8) {
  case 0: from->to_send += script_byte(s) % 64; break;
  case 1: side_speak(from, script_size(s)); break;
  case 2: side_speak(from, SIZE_MAX); break;
  case 3: side_hear_truth(to, script_size(s)); break;
  case 4: side_hear_truth(to, SIZE_MAX); break;
  case 5:
    a = script_size(s);
    side_hear_lie(to, a, script_size(s));
    break;
  case 6: hear_again(to, script_byte(s) & 1 ? from : to, s); break;
  case 7: side_hear_script(to, s); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct side initiator, responder; /* large; initialised for each input */
  struct script s = {data, data + size};
  uint8_t choice = script_byte(&s);
  if (!crypto_start()) return 0;
  uint8_t suites = choice & 1 && aead_suite_is_available(AEAD_AES256_GCM) ? 6 : 2;
  side_init(&initiator, &responder, 1, suites);
  side_init(&responder, &initiator, 2, suites);
  initiator.self.backend = choice & 2 ? aead_best_backend() : AEAD_LIBSODIUM;
  sides_start(&initiator, &responder, false);
  open_both(&initiator, &responder);
  while (s.at < s.end) {
    uint8_t command = script_byte(&s);
    if (command & 0x80)
      step(&responder, &initiator, command, &s);
    else
      step(&initiator, &responder, command, &s);
  }
  /* An end that heard nothing false has not failed, and in the end hears every cell. */
  struct side *sides[2] = {&initiator, &responder};
  for (int i = 0; i < 2; i++) {
    struct side *side = sides[i];
    if (side->first_false != SIZE_MAX) continue;
    while (side->delivered < side->other->said_len) side_hear_truth(side, 4096);
    require(link_state(side->link) == LINK_OPEN && side->received == side->other->sent);
  }
  side_wipe(&initiator);
  side_wipe(&responder);
  return 0;
}
