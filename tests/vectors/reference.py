#!/usr/bin/env python3
"""A second implementation of Tunic's own formats, written from specs/ and sharing no code with the first.

Prints what tests/vectors/tunic.json holds; `make vectors` compares. Every input follows from a name, so that two runs
give the same bytes.
"""
import hashlib
import hmac
import json
import struct
import sys

from reference_primitives import (
    aes256_gcm_seal, chacha20_block, chacha20_poly1305_seal, ed25519_public, ed25519_sign, mlkem768_decapsulate,
    mlkem768_encapsulate, mlkem768_keypair, P, x25519, x25519_base)

CHACHA20_POLY1305, AES256_GCM = 1, 2
BODY = 1403


def named(name, length):
    return hashlib.shake_256(b"tunic test vector " + name.encode()).digest(length)


# ---- specs/crypto.md ----

def blake2b(data, size=64):
    return hashlib.blake2b(data, digest_size=size).digest()


def hmac_blake2b(key, message):
    return hmac.new(key, message, hashlib.blake2b).digest()


def hkdf_noise(chaining_key, material, outputs):
    secret, result, previous = hmac_blake2b(chaining_key, material), [], b""
    for number in range(1, outputs + 1):
        previous = hmac_blake2b(secret, previous + bytes([number]))
        result.append(previous)
    return result


def traffic_keys(chaining_key, handshake_hash, label, length):
    secret, keys, previous, number = hmac_blake2b(chaining_key, handshake_hash), b"", b"", 1
    while len(keys) < length:
        previous = hmac_blake2b(secret, previous + label.encode() + bytes([number]))
        keys += previous
        number += 1
    return keys[:length]


def ratchet(key, label, direction):
    return hashlib.blake2b(label.encode() + bytes([direction]), key=key, digest_size=32).digest()


def seal(suite, key, counter, associated, plaintext):
    if suite == AES256_GCM:
        return aes256_gcm_seal(key, bytes(4) + struct.pack(">Q", counter), associated, plaintext)
    return chacha20_poly1305_seal(key, bytes(4) + struct.pack("<Q", counter), associated, plaintext)


def header_mask(key, counter, length):
    return chacha20_block(key, 0, bytes(4) + struct.pack("<Q", counter))[:length]


def signature(seed, context, message):
    return ed25519_sign(seed, b"tunic:" + context.encode() + b"\0" + blake2b(message))


# ---- Noise ----

class Party:
    """One side of a handshake; only what an honest peer does, so nothing is refused."""
    PATTERNS = {
        "NKhfs": (("e", "es", "e1"), ("e", "ee", "ekem1")),
        "XKhfs": (("e", "es", "e1"), ("e", "ee", "ekem1"), ("s", "se")),
    }

    def __init__(self, pattern, initiator, prologue, static, responder_public):
        self.pattern, self.initiator = pattern, initiator
        name = f"Noise_{pattern}_25519+MLKEM768_ChaChaPoly_BLAKE2b".encode()
        self.hash = self.chaining_key = name + bytes(64 - len(name))
        self.key, self.nonce, self.at = None, 0, 0
        self.static, self.remote_static = static, responder_public if initiator else None
        self.mix_hash(prologue)
        self.mix_hash(responder_public)

    def mix_hash(self, data):
        self.hash = blake2b(self.hash + data)

    def mix_key(self, material):
        self.chaining_key, key = hkdf_noise(self.chaining_key, material, 2)
        self.key, self.nonce = key[:32], 0

    def seal_and_hash(self, plaintext):
        sealed = seal(CHACHA20_POLY1305, self.key, self.nonce, self.hash, plaintext)
        self.nonce += 1
        self.mix_hash(sealed)
        return sealed

    def open_and_hash(self, sealed):
        plaintext = open_chacha(self.key, self.nonce, self.hash, sealed)
        self.nonce += 1
        self.mix_hash(sealed)
        return plaintext

    def mix_token(self, token):
        own, remote = token if self.initiator else token[::-1]
        secret = self.ephemeral if own == "e" else self.static
        self.mix_key(x25519(secret, self.remote_ephemeral if remote == "e" else self.remote_static))

    def write(self, random, payload):
        message = b""
        for token in self.PATTERNS[self.pattern][self.at]:
            if token == "e":
                self.ephemeral = random[:32]
                message += x25519_base(self.ephemeral)
                self.mix_hash(message)
            elif token == "s":
                message += self.seal_and_hash(x25519_base(self.static))
            elif token == "e1":
                public, self.kem_secret = mlkem768_keypair(random[32:])
                message += self.seal_and_hash(public)
            elif token == "ekem1":
                ciphertext, shared = mlkem768_encapsulate(self.kem_public, random[32:64])
                message += self.seal_and_hash(ciphertext)
                self.mix_key(shared)
            else:
                self.mix_token(token)
        self.at += 1
        return message + self.seal_and_hash(payload)

    def read(self, message):
        for token in self.PATTERNS[self.pattern][self.at]:
            if token == "e":
                self.remote_ephemeral, message = message[:32], message[32:]
                self.mix_hash(self.remote_ephemeral)
            elif token == "s":
                self.remote_static, message = self.open_and_hash(message[:48]), message[48:]
            elif token == "e1":
                self.kem_public, message = self.open_and_hash(message[:1200]), message[1200:]
            elif token == "ekem1":
                ciphertext, message = self.open_and_hash(message[:1104]), message[1104:]
                self.mix_key(mlkem768_decapsulate(self.kem_secret, ciphertext))
            else:
                self.mix_token(token)
        self.at += 1
        return self.open_and_hash(message)


def open_chacha(key, counter, associated, sealed):
    """A stream cipher: sealing the ciphertext gives the plaintext back, and sealing that again checks the tag."""
    plaintext = seal(CHACHA20_POLY1305, key, counter, associated, sealed[:-16])[:-16]
    if seal(CHACHA20_POLY1305, key, counter, associated, plaintext) != sealed:
        raise ValueError("forged")
    return plaintext


def converse(initiator, responder, randoms, payloads):
    messages = []
    for number, (random, payload) in enumerate(zip(randoms, payloads)):
        writer, reader = (responder, initiator) if number % 2 else (initiator, responder)
        messages.append(writer.write(random, payload))
        if reader.read(messages[-1]) != payload:
            raise ValueError("a payload was changed")
    if initiator.hash != responder.hash or initiator.chaining_key != responder.chaining_key:
        raise ValueError("the two sides differ")
    return messages


def noise_case(pattern, name, payload_sizes):
    responder_static, initiator_static = named(f"{name} responder", 32), named(f"{name} initiator", 32)
    responder_public, prologue = x25519_base(responder_static), named(f"{name} prologue", 40)
    initiator = Party(pattern, True, prologue, initiator_static, responder_public)
    responder = Party(pattern, False, prologue, responder_static, responder_public)
    randoms = [named(f"{name} random {i}", 96) for i in range(len(payload_sizes))]
    payloads = [named(f"{name} payload {i}", size) for i, size in enumerate(payload_sizes)]
    messages = converse(initiator, responder, randoms, payloads)
    first, second = hkdf_noise(initiator.chaining_key, b"", 2)
    return {
        "pattern": pattern, "prologue": prologue.hex(), "responder_static": responder_static.hex(),
        "initiator_static": initiator_static.hex() if pattern == "XKhfs" else "",
        "messages": [{"random": r.hex(), "payload": p.hex(), "message": m.hex()}
                     for r, p, m in zip(randoms, payloads, messages)],
        "handshake_hash": initiator.hash.hex(), "split": (first[:32] + second[:32]).hex(), "label": f"label of {name}",
        "traffic_keys": traffic_keys(initiator.chaining_key, initiator.hash, f"label of {name}", 100).hex(),
    }


# ---- specs/circuit-handshake.md ----

def circuit_case(generation, place, suite):
    name = f"circuit {generation} {place} {suite}"
    network, identity, onion = (named(f"{name} {what}", 32) for what in ("network", "identity", "onion"))
    prologue = b"tunic circuit 1" + network + identity + bytes([1, generation, place, suite])
    client = Party("NKhfs", True, prologue, None, x25519_base(onion))
    relay = Party("NKhfs", False, prologue, onion, x25519_base(onion))
    randoms = [named(f"{name} random {i}", 96) for i in range(2)]
    request, reply = converse(client, relay, randoms, [b"", b""])
    keys = traffic_keys(client.chaining_key, client.hash, "tunic circuit keys 1", 64)
    return {
        "network": network.hex(), "identity": identity.hex(), "onion_secret": onion.hex(), "generation": generation,
        "place": place, "suite": suite, "client_random": randoms[0].hex(), "relay_random": randoms[1].hex(),
        "request": request.hex(), "reply": reply.hex(), "forward": keys[:32].hex(), "backward": keys[32:].hex(),
    }


# ---- specs/onion.md ----

def onion_case(suite, place, direction, cells):
    name = f"onion {suite} {place} {direction}"
    first_key = key = named(name, 32)
    live, results = BODY - 17 * place, []
    for number in range(cells):
        content, kind = named(f"{name} content {number}", 1 + number % 40), number % 2
        plaintext = content + bytes(live - 17 - len(content)) + bytes([kind])
        sealed = seal(suite, key, number, b"\4", plaintext)
        body = sealed + bytes(BODY - len(sealed))
        results.append({"content": content.hex(), "kind": kind, "body_digest": blake2b(body, 32).hex()})
        if number % 32 == 31:
            key = ratchet(key, "tunic onion ratchet 1", direction)
    return {"suite": suite, "place": place, "direction": direction, "key": first_key.hex(), "cells": results,
            "last_body": body.hex()}


# ---- the file ----

def aead_case(suite, counter, associated_len, plaintext_len):
    name = f"aead {suite} {counter} {associated_len} {plaintext_len}"
    key, associated = named(f"{name} key", 32), named(f"{name} associated", associated_len)
    plaintext = named(f"{name} plaintext", plaintext_len)
    return {"suite": suite, "key": key.hex(), "counter": str(counter), "associated": associated.hex(),
            "plaintext": plaintext.hex(), "sealed": seal(suite, key, counter, associated, plaintext).hex()}


def kdf_cases():
    key, hash_, material = named("kdf key", 64), named("kdf hash", 64), named("kdf material", 32)
    hmacs = [{"key": named("hmac key", k).hex(), "message": named("hmac message", m).hex(),
              "mac": hmac_blake2b(named("hmac key", k), named("hmac message", m)).hex()}
             for k, m in ((0, 0), (32, 5), (64, 64), (128, 127), (129, 128), (200, 300))]
    traffic = [{"label": label, "keys": traffic_keys(key, hash_, label, size).hex()}
               for label, size in (("tunic circuit keys 1", 64), ("", 1), ("x", 129), ("tunic link keys 1", 192))]
    ratchets = [{"label": label, "direction": direction, "key": ratchet(key[:32], label, direction).hex()}
                for label in ("tunic onion ratchet 1", "another") for direction in (0, 1)]
    return {"hmac": hmacs, "chaining_key": key.hex(), "handshake_hash": hash_.hex(), "material": material.hex(),
            "noise": [output.hex() for output in hkdf_noise(key, material, 3)],
            "noise_of_nothing": [output.hex() for output in hkdf_noise(key, b"", 3)],
            "traffic": traffic, "ratchet": ratchets}


def signature_case(context, length):
    seed, message = named(f"signing {context}", 32), named(f"message {context}", length)
    return {"seed": seed.hex(), "public": ed25519_public(seed).hex(), "context": context, "message": message.hex(),
            "signature": signature(seed, context, message).hex()}


def x25519_case(number):
    secret = {0: bytes(32), 1: b"\xff" * 32, 2: bytes([1] + 31 * [0])}.get(number, named(f"x25519 {number}", 32))
    return {"secret": secret.hex(), "public": x25519_base(secret).hex()}


def field25519_case(name, a, b):
    results = {"sum": a + b, "difference": a - b, "product": a * b, "inverse": pow(a, P - 2, P)}
    return {"name": name, "a": a.to_bytes(32, "little").hex(), "b": b.to_bytes(32, "little").hex(),
            **{result: (value % P).to_bytes(32, "little").hex() for result, value in results.items()}}


def field25519_cases():
    edges = {"0": 0, "1": 1, "2": 2, "18": 18, "p - 2": P - 2, "p - 1": P - 1, "p": P, "p + 1": P + 1,
             "2^255 - 1": 2**255 - 1, "a half": (P + 1) // 2, "2^51 - 1": 2**51 - 1, "2^204": 2**204}
    pairs = [(f"{a}, {b}", edges[a], edges[b]) for a in edges for b in ("0", "p - 1", "2^255 - 1")]
    drawn = [int.from_bytes(named(f"field {number}", 32), "little") >> 1 for number in range(16)]
    return [field25519_case(*pair) for pair in pairs + [(f"drawn {i}", drawn[i], drawn[i - 1]) for i in range(16)]]


def everything():
    data = named("digest", 100)
    return {
        "kdf": kdf_cases(),
        "x25519": [x25519_case(number) for number in range(12)],
        "field25519": field25519_cases(),
        "aead": [aead_case(suite, counter, associated, plaintext)
                 for suite in (CHACHA20_POLY1305, AES256_GCM)
                 for counter, associated, plaintext in (
                     (0, 0, 0), (1, 1, 1), (255, 64, 15), (256, 2, 16), (2**32, 17, 64), (0x0102030405060708, 1, 1386),
                     (2**64 - 1, 13, 257))],
        "header_mask": [{"key": named("mask", 32).hex(), "counter": str(counter),
                         "mask": header_mask(named("mask", 32), counter, 64).hex()}
                        for counter in (0, 1, 2**32, 2**64 - 1)],
        "signature": [signature_case("vote", 0), signature_case("descriptor", 1000), signature_case("", 3)],
        "digest": {"bytes": data.hex(), "plain": blake2b(data, 32).hex(), "label": "a label",
                   "labelled": blake2b(b"a label\0" + data, 32).hex()},
        "noise": [noise_case("NKhfs", "nk empty", [0, 0]), noise_case("NKhfs", "nk payloads", [100, 200]),
                  noise_case("XKhfs", "xk empty", [0, 0, 0]), noise_case("XKhfs", "xk payload", [0, 0, 32])],
        "circuit": [circuit_case(0, 0, 1), circuit_case(7, 2, 2), circuit_case(255, 5, 1)],
        "onion": [onion_case(CHACHA20_POLY1305, 0, 0, 70), onion_case(AES256_GCM, 0, 0, 70),
                  onion_case(CHACHA20_POLY1305, 2, 1, 70), onion_case(AES256_GCM, 5, 1, 70),
                  onion_case(CHACHA20_POLY1305, 5, 0, 3)],
    }


if __name__ == "__main__":
    json.dump(everything(), sys.stdout, indent=1)
    print()
