#include "crypto/field25519.h"

#if FIELD25519_BUILT

__extension__ typedef unsigned __int128 wide;

enum { LIMB_BITS = 51, LIMBS = FIELD25519_LIMBS };

static const uint64_t limb_mask = (UINT64_C(1) << LIMB_BITS) - 1;

static uint64_t load_le64(const uint8_t bytes[8]) {
  uint64_t word = 0;
  for (int i = 7; i >= 0; i--) word = word << 8 | bytes[i];
  return word;
}

static void store_le64(uint8_t ret[8], uint64_t word) {
  for (int i = 0; i < 8; i++) ret[i] = (uint8_t)(word >> 8 * i);
}

void field25519_decode(struct field25519 *ret, const uint8_t bytes[FIELD25519_BYTES]) {
  uint64_t w0 = load_le64(bytes), w1 = load_le64(bytes + 8), w2 = load_le64(bytes + 16), w3 = load_le64(bytes + 24);
  ret->limb[0] = w0 & limb_mask;
  ret->limb[1] = (w0 >> 51 | w1 << 13) & limb_mask;
  ret->limb[2] = (w1 >> 38 | w2 << 26) & limb_mask;
  ret->limb[3] = (w2 >> 25 | w3 << 39) & limb_mask;
  ret->limb[4] = w3 >> 12 & limb_mask;
}

/* The value is below 2p, so p is to be taken off once or not at all: once if adding 19 carries into bit 255. */
void field25519_encode(uint8_t ret_bytes[FIELD25519_BYTES], const struct field25519 *a) {
  uint64_t limb[LIMBS], is_p_or_more = 19;
  for (int i = 0; i < LIMBS; i++) is_p_or_more = (a->limb[i] + is_p_or_more) >> LIMB_BITS;
  uint64_t carry = 19 * is_p_or_more; /* minus p is plus 19, and the carry out of the last limb dropped */
  for (int i = 0; i < LIMBS; i++) {
    limb[i] = (a->limb[i] + carry) & limb_mask;
    carry = (a->limb[i] + carry) >> LIMB_BITS;
  }
  store_le64(ret_bytes, limb[0] | limb[1] << 51);
  store_le64(ret_bytes + 8, limb[1] >> 13 | limb[2] << 38);
  store_le64(ret_bytes + 16, limb[2] >> 26 | limb[3] << 25);
  store_le64(ret_bytes + 24, limb[3] >> 39 | limb[4] << 12);
}

/* Limbs of up to 2^53 back to 51 bits; what leaves the top comes back as 19 times itself, since 2^255 = 19. */
static void carry_once(struct field25519 *a) {
  uint64_t carry = 0;
  for (int i = 0; i < LIMBS; i++) {
    uint64_t sum = a->limb[i] + carry;
    a->limb[i] = sum & limb_mask;
    carry = sum >> LIMB_BITS;
  }
  a->limb[0] += 19 * carry;
}

void field25519_add(struct field25519 *ret, const struct field25519 *a, const struct field25519 *b) {
  for (int i = 0; i < LIMBS; i++) ret->limb[i] = a->limb[i] + b->limb[i];
  carry_once(ret);
}

/* 2p is added first, limb by limb, so that no limb goes below zero. */
void field25519_subtract(struct field25519 *ret, const struct field25519 *a, const struct field25519 *b) {
  for (int i = 0; i < LIMBS; i++) ret->limb[i] = a->limb[i] + 2 * (i == 0 ? limb_mask - 18 : limb_mask) - b->limb[i];
  carry_once(ret);
}

/* The sums of a product, each below 77 * (2^51 + 2^13)^2 < 2^109, back to limbs: every carry is below 2^58. The last one
 * times 19 is below 2^63, and what it makes limb 0 pass on below 2^12. */
static void carry_product(struct field25519 *ret, const wide sum[LIMBS]) {
  uint64_t carry = 0;
  for (int i = 0; i < LIMBS; i++) {
    wide whole = sum[i] + carry;
    ret->limb[i] = (uint64_t)whole & limb_mask;
    carry = (uint64_t)(whole >> LIMB_BITS);
  }
  uint64_t low = ret->limb[0] + 19 * carry;
  ret->limb[0] = low & limb_mask;
  ret->limb[1] += low >> LIMB_BITS;
}

/* Limbs i and j meet in sum i + j, or in i + j - 5 with a factor of 19. */
void field25519_multiply(struct field25519 *ret, const struct field25519 *a, const struct field25519 *b) {
  const uint64_t *x = a->limb;
  uint64_t y0 = b->limb[0], y1 = b->limb[1], y2 = b->limb[2], y3 = b->limb[3], y4 = b->limb[4];
  uint64_t y1_19 = 19 * y1, y2_19 = 19 * y2, y3_19 = 19 * y3, y4_19 = 19 * y4;
  const wide sum[LIMBS] = {
    (wide)x[0] * y0 + (wide)x[1] * y4_19 + (wide)x[2] * y3_19 + (wide)x[3] * y2_19 + (wide)x[4] * y1_19,
    (wide)x[0] * y1 + (wide)x[1] * y0 + (wide)x[2] * y4_19 + (wide)x[3] * y3_19 + (wide)x[4] * y2_19,
    (wide)x[0] * y2 + (wide)x[1] * y1 + (wide)x[2] * y0 + (wide)x[3] * y4_19 + (wide)x[4] * y3_19,
    (wide)x[0] * y3 + (wide)x[1] * y2 + (wide)x[2] * y1 + (wide)x[3] * y0 + (wide)x[4] * y4_19,
    (wide)x[0] * y4 + (wide)x[1] * y3 + (wide)x[2] * y2 + (wide)x[3] * y1 + (wide)x[4] * y0,
  };
  carry_product(ret, sum);
}

/* The product of a with itself: what meets twice is doubled, fifteen products for twenty-five. */
static void square(struct field25519 *a) {
  uint64_t x0 = a->limb[0], x1 = a->limb[1], x2 = a->limb[2], x3 = a->limb[3], x4 = a->limb[4];
  uint64_t twice_x0 = 2 * x0, twice_x1 = 2 * x1, x3_19 = 19 * x3, x4_19 = 19 * x4;
  const wide sum[LIMBS] = {
    (wide)x0 * x0 + (wide)twice_x1 * x4_19 + (wide)(2 * x2) * x3_19,
    (wide)twice_x0 * x1 + (wide)(2 * x2) * x4_19 + (wide)x3 * x3_19,
    (wide)twice_x0 * x2 + (wide)x1 * x1 + (wide)(2 * x3) * x4_19,
    (wide)twice_x0 * x3 + (wide)twice_x1 * x2 + (wide)x4 * x4_19,
    (wide)twice_x0 * x4 + (wide)twice_x1 * x3 + (wide)x2 * x2,
  };
  carry_product(a, sum);
}

/* a^(2^squarings) * b. */
static struct field25519 raise(const struct field25519 *a, int squarings, const struct field25519 *b) {
  struct field25519 power = *a;
  for (int i = 0; i < squarings; i++) square(&power);
  field25519_multiply(&power, &power, b);
  return power;
}

/* Fermat: a^(p - 2), whose exponent is 250 ones and 01011 in binary. `ones_n` is a to the power of n ones: m ones
 * moved up by n places, and n ones behind them, are m + n ones. */
void field25519_invert(struct field25519 *ret, const struct field25519 *a) {
  struct field25519 ones_2 = raise(a, 1, a), binary_1011 = raise(a, 3, &ones_2);
  struct field25519 ones_4 = raise(&ones_2, 2, &ones_2), ones_5 = raise(&ones_4, 1, a);
  struct field25519 ones_10 = raise(&ones_5, 5, &ones_5), ones_20 = raise(&ones_10, 10, &ones_10);
  struct field25519 ones_40 = raise(&ones_20, 20, &ones_20), ones_50 = raise(&ones_40, 10, &ones_10);
  struct field25519 ones_100 = raise(&ones_50, 50, &ones_50), ones_200 = raise(&ones_100, 100, &ones_100);
  struct field25519 ones_250 = raise(&ones_200, 50, &ones_50);
  *ret = raise(&ones_250, 5, &binary_1011);
}

#endif
