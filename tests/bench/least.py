"""How near a network with layers of AEADs is to the least that it can cost on this machine.

A byte is sealed and opened in three layers and on three links, and goes through four programs: whatever else is done, its
processor time is that of these twelve passes, timed alone and at their best, and of as many plain forwarders.
"""
import os
import subprocess

import figures
from systems import BUILD, SystemFailed

LAYERS = LINKS = 3
CELL_DATA_BYTES = 1347
CELLS_PER_RECORD = 11
CELL_MESSAGE, RECORD_MESSAGE = 1387, 15488  # as tests/bench/aead.c has them
LOADS = (("one_stream", "one stream"), ("8_streams", "8 streams"))


def ciphers_cpu_per_GB_s(aead):
    """Processor time of the twelve passes for a GB of the application's bytes."""
    done = subprocess.run([f"{BUILD}/tests/bench/aead", aead], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    times = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    try:
        layer, record = (float(times[f"aead_aes256gcm_{aead}_{size}_pass_pair_ns"]) for size in (CELL_MESSAGE, RECORD_MESSAGE))
    except KeyError as error:
        raise SystemFailed(f"tests/bench/aead did not tell {error}") from error
    return (LAYERS * layer + LINKS * record / CELLS_PER_RECORD) / CELL_DATA_BYTES


HEAD = ["processor time a GB, s", "ciphers alone", "the least", "measured", "over the least", "tor", "tor by the least", "tor by measured"]


def rows(name, of, plain, tor):
    """What `of` (samples of the system `name`) costs, and could at the least, under each load that was measured."""
    ciphers = of.median("ciphers_cpu_per_GB_s")
    for load, text in LOADS:
        found, floor, other = (one.median(f"{load}_cpu_per_GB_s") for one in (of, plain, tor))
        if None not in (ciphers, found, floor):
            ratios = (found / (ciphers + floor), other and other / (ciphers + floor), other and other / found)
            yield [f"{name}, {text}", *map(figures.short, (ciphers, ciphers + floor, found)), figures.times(ratios[0]), figures.short(other),
                   *map(figures.times, ratios[1:])]


def table(samples):
    """For people; empty where forwarders or this project's network were not measured."""
    plain, tor = (samples.get(name, figures.Samples()) for name in ("plain", "tor"))
    found = [row for name, of in samples.items() for row in rows(name, of, plain, tor)]
    return figures.aligned([HEAD] + found) if found else ""
