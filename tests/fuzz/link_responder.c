/* A responder whose peer says what the input wants: true bytes cut anywhere, changed ones, or its own.
 * The first byte chooses pattern and suites; then each byte is a step. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/link_sides.h"

static void step(struct side *honest, struct side *victim, struct script *s) {
  size_t a;
  switch (script_byte(s) % 8) {
  case 0: side_hear_truth(victim, script_size(s)); break;
  case 1: side_hear_truth(victim, SIZE_MAX); break;
  case 2:
    a = script_size(s);
    side_hear_lie(victim, a, script_size(s));
    break;
  case 3: side_hear_script(victim, s); break;
  case 4: side_work(victim); break;
  case 5: /* the victim speaks, the honest end hears and answers */
    side_speak(victim, script_size(s));
    side_hear_truth(honest, SIZE_MAX);
    side_work(honest);
    side_hear_truth(honest, 0);
    side_speak(honest, script_size(s));
    break;
  case 6: side_admit(victim); break;
  case 7:
    honest->to_send += script_byte(s) % 32;
    victim->to_send += script_byte(s) % 32;
    break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct side honest, victim; /* large; initialised for each input */
  struct script s = {data, data + size};
  uint8_t choice = script_byte(&s);
  if (!crypto_start()) return 0;
  uint8_t suites = choice & 2 && aead_suite_is_available(AEAD_AES256_GCM) ? 6 : 2;
  side_init(&honest, &victim, 1, suites);
  side_init(&victim, &honest, 2, choice & 4 ? 2 : suites); /* or an offer that the victim does not compute */
  sides_start(&honest, &victim, choice & 1);
  side_work(&honest);
  side_speak(&honest, SIZE_MAX);
  while (s.at < s.end) step(&honest, &victim, &s);
  side_wipe(&honest);
  side_wipe(&victim);
  return 0;
}
