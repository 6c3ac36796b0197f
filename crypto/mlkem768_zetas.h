/* The powers of 17 that both number-theoretic transforms of ML-KEM-768 multiply by.
 * Spec: specs/kem.md [KEM-2]; FIPS 203 section 4.3 and appendix A. Included by _portable.c and _avx2.c.
 * Entry i is 17^bitreverse7(i) times 2^16 modulo q, taken nearest to zero, ready for Montgomery
 * multiplication. Never secret.
 */
#ifndef TUNIC_CRYPTO_MLKEM768_ZETAS_H
#define TUNIC_CRYPTO_MLKEM768_ZETAS_H

#include <stdint.h>

enum {
  MLKEM768_ZETAS = 128,
  MLKEM768_INVERSE_Q = -3327,   /* of q modulo 2^16, as a signed 16-bit number */
  MLKEM768_TWO_TO_32 = 1353,    /* 2^32 modulo q: a Montgomery product with it multiplies by 2^16 */
  MLKEM768_INVERSE_SCALE = 1441 /* 2^32 / 128 modulo q: the inverse's last factor, times 2^16 */
};

static const int16_t mlkem768_zetas[MLKEM768_ZETAS] = {
    -1044, -758,  -359,  -1517, 1493,  1422,  287,   202,   -171,  622,   1577, 182,   962,   -1202, -1474,
    1468,  573,   -1325, 264,   383,   -829,  1458,  -1602, -130,  -681,  1017, 732,   608,   -1542, 411,
    -205,  -1571, 1223,  652,   -552,  1015,  -1293, 1491,  -282,  -1544, 516,  -8,    -320,  -666,  -1618,
    -1162, 126,   1469,  -853,  -90,   -271,  830,   107,   -1421, -247,  -951, -398,  961,   -1508, -725,
    448,   -1065, 677,   -1275, -1103, 430,   555,   843,   -1251, 871,   1550, 105,   422,   587,   177,
    -235,  -291,  -460,  1574,  1653,  -246,  778,   1159,  -147,  -777,  1483, -602,  1119,  -1590, 644,
    -872,  349,   418,   329,   -156,  -75,   817,   1097,  603,   610,   1322, -1285, -1465, 384,   -1215,
    -136,  1218,  -1335, -874,  220,   -1187, -1659, -1185, -1530, -1278, 794,  -1510, -854,  -870,  478,
    -108,  -308,  996,   991,   958,   -1460, 1522,  1628,
};

#endif
