#!/usr/bin/env -S python3 -B
"""How costs grow: runs the benchmarks' series, writes every figure to growth.json and draws them beside it. Minutes.

usage: growth.py FOLDER [PROGRAM ...]; of the programs consensus, exit, growth and idle these alone, and the other figures as they
are there; `none`: only draws
"""
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True

from figures import machine
from plot import Axis, Chart, Line, Mark, bytes_told, microseconds_told, thousands
from systems import BUILD, end_on_signals, say

PROGRAMS = ("consensus", "exit", "growth", "idle")
NAME = re.compile(r"growth_([a-z-]+)_([a-z-]+)_([0-9]+)_([a-zA-Z]+)")


def run(programs):
    """Series by what grows, then by what is measured and its unit: [count, value] pairs."""
    series = {}
    for program in programs:
        say(f"{program} ...")
        done = subprocess.run([f"{BUILD}/tests/bench/{program}", "--series"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            name, value = line.split()
            what, measure, count, unit = NAME.fullmatch(name).groups()
            series.setdefault(what, {}).setdefault(f"{measure}_{unit}", []).append([int(count), float(value)])
    return series


def charts(series):
    def line(name, what, measure, factor=1):
        return Line(name, [(count, value * factor) for count, value in series[what][measure]])

    how_many = Axis("how many there are", thousands)
    yield "growth-cells", Chart(
        "A relay's work for one cell", how_many, Axis("nanoseconds", thousands),
        [line("circuits, all but 8 idle", "circuits", "cell_ns"), line("busy circuits", "busy-circuits", "cell_ns"),
         line("links, all but 8 idle", "links", "cell_ns"), line("streams at an exit", "streams", "to-client_ns")])
    yield "growth-memory", Chart(
        "What a relay keeps in memory", how_many, Axis("bytes", bytes_told),
        [line("links", "links", "resident_bytes"), line("circuits", "circuits", "resident_bytes"),
         line("streams at an exit", "streams", "resident_bytes"), line("relays in the consensus", "relays", "heap_bytes")],
        [Mark("2 KB each", [(100, 2e5), (100000, 2e8)])])
    yield "growth-directory", Chart(
        "What a consensus costs", Axis("relays in it", thousands), Axis("time", microseconds_told),
        [line("parse and verify it", "relays", "parse_ms", 1000), line("choose a path", "relays", "path_us")],
        [Mark("5 µs a relay", [(100, 500), (20000, 100000)])])


def write(path, text):
    with open(path, "w") as opened:
        opened.write(text)


def update(path, programs):
    """The series, with what these programs measure now; the file is written anew."""
    known = {}
    if set(programs) != set(PROGRAMS):
        with open(path) as opened:
            known = json.load(opened)["series"]
    for what, measures in run(programs).items():
        known.setdefault(what, {}).update(measures)
    text = json.dumps({"machine": machine(), "series": known}, indent=1)
    write(path, re.sub(r"\[\s+([0-9.]+),\s+([0-9.]+)\s+\]", r"[\1, \2]", text) + "\n")  # a pair on one line
    return known


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= {*PROGRAMS, "none"}:
        print(__doc__, file=sys.stderr)
        return 2
    folder = sys.argv[1]
    end_on_signals()
    try:
        series = update(os.path.join(folder, "growth.json"), [p for p in sys.argv[2:] or PROGRAMS if p != "none"])
    except (subprocess.CalledProcessError, OSError) as error:
        say(f"The series could not be measured: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    for name, chart in charts(series):
        write(os.path.join(folder, f"{name}.svg"), chart.svg())
    return 0


if __name__ == "__main__":
    sys.exit(main())
