"""Figures of several systems side by side: medians over rounds, ratios, a table for people and numbers for programs."""
import json
import os
import statistics

HIGHER, LOWER = "more", "less"

# name of the figure, what people read, which way is better; the unit is the name's last word
ROWS = (
    ("ttfb_same_circuit_ms", "first byte, circuit in use", LOWER),
    ("ttfb_fresh_isolation_ms", "first byte, new isolation", LOWER),
    ("transfer_50KB_ms", "50 KB", LOWER),
    ("transfer_1MB_ms", "1 MB", LOWER),
    ("transfer_5MB_ms", "5 MB", LOWER),
    ("one_stream_MBps", "one stream", HIGHER),
    ("8_streams_MBps", "8 streams together", HIGHER),
    ("8_streams_fairness_jain", "fairness of the 8", HIGHER),
    ("one_stream_cpu_per_GB_s", "processor time a GB, one stream", LOWER),
    ("8_streams_cpu_per_GB_s", "processor time a GB, 8 streams", LOWER),
    ("circuit_build_ms", "building a three-hop circuit", LOWER),
    ("relay_resident_MB", "memory of the largest relay, afterwards", LOWER),
)
UNITS = {"ms": "ms", "s": "s", "MBps": "MB/s", "MB": "MB", "jain": "(Jain)", "x": "x", "rtt": "path round trips"}


def unit(name):
    return UNITS.get(name.rsplit("_", 1)[1], "")


class Samples:
    """All rounds of one system."""

    def __init__(self):
        self.values = {}

    def add(self, figures):
        for name, value in figures.items():
            self.values.setdefault(name, []).append(value)

    def median(self, name):
        return statistics.median(self.values[name]) if self.values.get(name) else None


def short(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def times(ratio):
    return "-" if ratio is None else f"{short(ratio)} x"


def times_better(value, other, better):
    """How many times better `value` is than `other`: above 1 it is better, whichever way the figure counts."""
    if not value or not other:
        return None
    return value / other if better == HIGHER else other / value


def aligned(rows):
    """Markdown rows, padded so that they can be read as they are."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row):
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (width + 1) + ":" for width in widths[1:]]) + "|"
    return "\n".join([line(rows[0]), rule] + [line(row) for row in rows[1:]])


def table(samples, rows=ROWS, ratios=()):
    """`samples` by system; `ratios` are pairs of (system, compared with)."""
    systems = list(samples)
    ratios = [(one, other) for one, other in ratios if one in samples and other in samples]
    head = [""] + systems + [f"{one} against {other}" for one, other in ratios]
    lines = [head]
    for name, text, better in rows:
        medians = {system: samples[system].median(name) for system in systems}
        if all(value is None for value in medians.values()):
            continue
        compared = [times_better(medians[one], medians[other], better) for one, other in ratios]
        lines.append([f"{text}, {unit(name)}"] + [short(medians[system]) for system in systems]
                     + [times(ratio) for ratio in compared])
    return aligned(lines)


def machine():
    """What was measured on, in one line: the figures mean nothing without it."""
    with open("/proc/cpuinfo") as opened:
        words = [[part.strip() for part in line.split(":", 1)] for line in opened if ":" in line]
    model = next((value for name, value in words if name == "model name"), "unknown processor")
    flags = next((value.split() for name, value in words if name == "flags"), [])
    wide = "with" if {"avx512f", "vaes"} <= set(flags) else "without"
    return f"{os.cpu_count()} cores ({model}, {wide} AVX-512 and VAES), Linux {os.uname().release.split('-')[0]}"


def write(path, text, samples):
    """The report, and beside it every number of every round."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as opened:
        opened.write(text)
    with open(os.path.splitext(path)[0] + ".json", "w") as opened:
        rounded = {system: {name: [float(f"{value:.5g}") for value in values] for name, values in of.values.items()}
                   for system, of in samples.items()}
        json.dump(rounded, opened, indent=1)
        opened.write("\n")
