#include <stdio.h>

#include "tests/sim/conformance.h"

int main(void) {
  const struct conformance_host *hosts[] = {conformance_loopback(), conformance_sim()};
  int passed = 0, failed = 0;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    int of_host;
    passed += conformance_run(hosts[i], &of_host);
    failed += of_host;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
