#!/usr/bin/env python3
"""Writes tests/vectors/keccak.json: known answers of SHA3 and SHAKE from Python's hashlib, which is not our code.

The messages are the two of FIPS 202's published examples that are whole bytes and short ("" and "abc"), the
1600-bit example (200 bytes 0xa3), and one of each length at which a block of some rate is nearly full, full,
and just over.
"""
import hashlib
import json

RATES = {"sha3_256": 136, "sha3_512": 72, "shake128": 168, "shake256": 136}


def messages(rate):
    yield from (b"", b"abc", b"\xa3" * 200)
    for length in (1, 7, 8, rate - 1, rate, rate + 1, 2 * rate, 1184):
        yield bytes((i * 167 + 13) & 255 for i in range(length))


def output(function, message):
    digest = hashlib.new(function.replace("shake", "shake_"), message)
    return digest.hexdigest(400) if function.startswith("shake") else digest.hexdigest()


cases = [
    json.dumps({"function": f, "message": m.hex(), "output": output(f, m)})
    for f, rate in RATES.items()
    for m in messages(rate)
]
with open("tests/vectors/keccak.json", "w", encoding="ascii") as file:
    file.write('{"source": "Python hashlib (tests/vectors/keccak_make.py)", "tests": [\n' + ",\n".join(cases) + "\n]}\n")
