/* Every encoding of a point of small order on Curve25519 and its twist: X25519 with one of them always gives zero.
 * Source: computed from the definitions (the orders 1, 2, 4 and 8, canonical and not, with and without the unused bit).
 * Called by the tests of this folder.
 * Never a key of anybody.
 */
#ifndef TUNIC_TESTS_UNIT_CRYPTO_LOW_ORDER_H
#define TUNIC_TESTS_UNIT_CRYPTO_LOW_ORDER_H

#include <stdint.h>

enum { LOW_ORDER_POINTS = 14 };

extern const uint8_t low_order_points[LOW_ORDER_POINTS][32];

#endif
