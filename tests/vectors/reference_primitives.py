"""The standard algorithms that Tunic uses, written from their documents in the plainest Python.

For test vectors alone: slow, and not constant-time. Only the standard library: hashlib has BLAKE2b, SHA-3 and SHAKE.
"""
import hashlib
import struct

P = 2**255 - 19


# ---- X25519, RFC 7748 ----

def x25519(secret, public):
    scalar = bytearray(secret)
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    k = int.from_bytes(scalar, "little")
    x1 = (int.from_bytes(public, "little") & (2**255 - 1)) % P
    x2, z2, x3, z3 = 1, 0, x1, 1
    for bit in range(254, -1, -1):
        if k >> bit & 1:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb)**2 % P, x1 * (da - cb)**2 % P
        aa, bb = a * a % P, b * b % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
        if k >> bit & 1:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def x25519_base(secret):
    return x25519(secret, bytes([9] + 31 * [0]))


# ---- Ed25519, RFC 8032 ----

ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202


def edwards_add(p, q):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = p, q
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * t1 * t2 * D, 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def edwards_base_times(k):
    result, point = (0, 1, 1, 0), (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
    while k:
        if k & 1:
            result = edwards_add(result, point)
        point = edwards_add(point, point)
        k >>= 1
    x, y, z, _ = result
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed25519_expand(seed):
    digest = bytearray(hashlib.sha512(seed).digest())
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    return int.from_bytes(digest[:32], "little"), bytes(digest[32:])


def ed25519_public(seed):
    return edwards_base_times(ed25519_expand(seed)[0])


def ed25519_sign(seed, message):
    secret, prefix = ed25519_expand(seed)
    public = edwards_base_times(secret)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % ORDER
    big_r = edwards_base_times(r)
    k = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % ORDER
    return big_r + ((r + k * secret) % ORDER).to_bytes(32, "little")


# ---- ChaCha20-Poly1305, RFC 8439 ----

def rotate(word, by):
    return (word << by | word >> 32 - by) & 0xffffffff


def quarter_round(state, a, b, c, d):
    for into, other, mixed, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[into] = (state[into] + state[other]) & 0xffffffff
        state[mixed] = rotate(state[mixed] ^ state[into], by)


def chacha20_block(key, counter, nonce):
    initial = list(struct.unpack("<16L", b"expand 32-byte k" + key + struct.pack("<L", counter) + nonce))
    state = initial[:]
    for _ in range(10):
        for column in range(4):
            quarter_round(state, column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter_round(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<16L", *((a + b) & 0xffffffff for a, b in zip(state, initial)))


def exclusive_or(data, stream):
    return bytes(a ^ b for a, b in zip(data, stream))


def padded(data):
    return data + bytes(-len(data) % 16)


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    sum_ = 0
    for at in range(0, len(message), 16):
        sum_ = (sum_ + int.from_bytes(message[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((sum_ + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def chacha20_poly1305_seal(key, nonce, associated, plaintext):
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range((len(plaintext) + 63) // 64))
    sealed = exclusive_or(plaintext, stream)
    lengths = struct.pack("<QQ", len(associated), len(sealed))
    tag = poly1305(chacha20_block(key, 0, nonce)[:32], padded(associated) + padded(sealed) + lengths)
    return sealed + tag


# ---- AES-256-GCM, FIPS 197 and NIST SP 800-38D ----

def times_two(a):
    return (a << 1 ^ (0x11b if a & 0x80 else 0)) & 0xff


def make_sbox():
    box, p, q = [0] * 256, 1, 1
    while True:  # p runs through the field by 3, q through its inverses
        p = p ^ times_two(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xff
        q ^= 0x09 if q & 0x80 else 0
        spread = q
        for by in (1, 2, 3, 4):
            spread ^= (q << by | q >> 8 - by) & 0xff
        box[p] = spread ^ 0x63
        if p == 1:
            box[0] = 0x63
            return box


SBOX = make_sbox()


def aes256_expand(key):
    words = [list(key[i:i + 4]) for i in range(0, 32, 4)]
    constant = 1
    for i in range(8, 60):
        word = words[i - 1][:]
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = times_two(constant)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[i:i + 4], []) for i in range(0, 60, 4)]


def aes_encrypt(round_keys, block):
    state = [a ^ b for a, b in zip(block, round_keys[0])]
    for number, round_key in enumerate(round_keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < len(round_keys) - 1:
            mixed = []
            for at in range(0, 16, 4):
                column = state[at:at + 4]
                every = column[0] ^ column[1] ^ column[2] ^ column[3]
                mixed += [column[i] ^ every ^ times_two(column[i] ^ column[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_key)]
    return bytes(state)


def gcm_multiply(x, y):
    product = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            product ^= x
        x = x >> 1 ^ (0xe1 << 120 if x & 1 else 0)
    return product


def aes256_gcm_seal(key, nonce, associated, plaintext):
    round_keys = aes256_expand(key)
    h = int.from_bytes(aes_encrypt(round_keys, bytes(16)), "big")

    def stream_block(counter):
        return aes_encrypt(round_keys, nonce + struct.pack(">L", counter))

    stream = b"".join(stream_block(2 + i) for i in range((len(plaintext) + 15) // 16))
    sealed = exclusive_or(plaintext, stream)
    hashed = padded(associated) + padded(sealed) + struct.pack(">QQ", 8 * len(associated), 8 * len(sealed))
    sum_ = 0
    for at in range(0, len(hashed), 16):
        sum_ = gcm_multiply(sum_ ^ int.from_bytes(hashed[at:at + 16], "big"), h)
    return sealed + exclusive_or(sum_.to_bytes(16, "big"), stream_block(1))


# ---- ML-KEM-768, FIPS 203 ----

Q, K, DU, DV = 3329, 3, 10, 4


def reversed_bits(i):
    return int(f"{i:07b}"[::-1], 2)


ZETAS = [pow(17, reversed_bits(i), Q) for i in range(128)]


def ntt(f):
    f, i, length = f[:], 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[i] * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def inverse_ntt(f):
    f, i, length = f[:], 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j] = (t + f[j + length]) % Q
                f[j + length] = ZETAS[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [3303 * c % Q for c in f]


def ntt_multiply(f, g):
    h = []
    for i in range(128):
        gamma = pow(17, 2 * reversed_bits(i) + 1, Q)
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return h


def add(*polynomials):
    return [sum(c) % Q for c in zip(*polynomials)]


def inner_product(v, w):
    return add(*(ntt_multiply(f, g) for f, g in zip(v, w)))


def encode(polynomial, bits):
    return sum(c << bits * i for i, c in enumerate(polynomial)).to_bytes(32 * bits, "little")


def decode(data, bits):
    number = int.from_bytes(data, "little")
    return [number >> bits * i & (1 << bits) - 1 for i in range(256)]


def decode_vector(data, bits):
    return [decode(data[at:at + 32 * bits], bits) for at in range(0, len(data), 32 * bits)]


def compress(polynomial, bits):
    return [((c << bits) + Q // 2) // Q % (1 << bits) for c in polynomial]


def decompress(polynomial, bits):
    return [(c * Q + (1 << bits - 1)) >> bits for c in polynomial]


def sample_uniform(seed):
    stream, result = hashlib.shake_128(seed).digest(840), []
    for at in range(0, len(stream), 3):
        c = stream[at:at + 3]
        result += [d for d in (c[0] + 256 * (c[1] % 16), c[1] // 16 + 16 * c[2]) if d < Q]
    return result[:256] if len(result) >= 256 else [0] * 256


def sample_noise(seed, number):
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([number])).digest(128), "little")
    return [((bits >> 4 * i & 1) + (bits >> 4 * i + 1 & 1) - (bits >> 4 * i + 2 & 1) - (bits >> 4 * i + 3 & 1)) % Q
            for i in range(256)]


def sample_matrix(rho):
    return [[sample_uniform(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def mlkem768_keypair(seed):
    d, z = seed[:32], seed[32:]
    rho_sigma = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = rho_sigma[:32], rho_sigma[32:]
    s = [ntt(sample_noise(sigma, i)) for i in range(K)]
    e = [ntt(sample_noise(sigma, K + i)) for i in range(K)]
    t = [add(inner_product(row, s), e[i]) for i, row in enumerate(sample_matrix(rho))]
    public = b"".join(encode(f, 12) for f in t) + rho
    return public, b"".join(encode(f, 12) for f in s) + public + hashlib.sha3_256(public).digest() + z


def pke_encrypt(public, message, randomness):
    t, matrix = decode_vector(public[:-32], 12), sample_matrix(public[-32:])
    y = [ntt(sample_noise(randomness, i)) for i in range(K)]
    u = [add(inverse_ntt(inner_product([matrix[j][i] for j in range(K)], y)), sample_noise(randomness, K + i))
         for i in range(K)]
    v = add(inverse_ntt(inner_product(t, y)), sample_noise(randomness, 2 * K), decompress(decode(message, 1), 1))
    return b"".join(encode(compress(f, DU), DU) for f in u) + encode(compress(v, DV), DV)


def mlkem768_encapsulate(public, message):
    shared = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return pke_encrypt(public, message, shared[32:]), shared[:32]


def mlkem768_decapsulate(secret, ciphertext):
    size = 384 * K
    s, public, z = decode_vector(secret[:size], 12), secret[size:2 * size + 32], secret[-32:]
    digest = secret[2 * size + 32:-32]
    u = [decompress(f, DU) for f in decode_vector(ciphertext[:32 * DU * K], DU)]
    v = decompress(decode(ciphertext[32 * DU * K:], DV), DV)
    product = inverse_ntt(inner_product(s, [ntt(f) for f in u]))
    message = encode(compress([(a - b) % Q for a, b in zip(v, product)], 1), 1)
    shared = hashlib.sha3_512(message + digest).digest()
    if pke_encrypt(public, message, shared[32:]) != ciphertext:
        return hashlib.shake_256(z + ciphertext).digest(32)
    return shared[:32]
