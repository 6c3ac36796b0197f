/* What every fuzz target defines. The name is libFuzzer's.
 * A target takes any bytes: it returns 0 when all is well, and aborts when a property does not hold.
 * Called by libFuzzer (`make fuzz-NAME`) or by standalone.c (`make test`).
 * Never keeps anything between two calls.
 */
#ifndef TUNIC_TESTS_FUZZ_FUZZ_H
#define TUNIC_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
