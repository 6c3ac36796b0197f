#!/usr/bin/env -S python3 -B
"""This project's network beside Debian's tor and beside plain forwarders: the same work, on the same machine, in one run.

usage: peers.py [--rounds N] [--seconds N] [--only NAME ...] [--write FILE]

All systems are up at once and idle but for the one that is measured; each round measures every system once, so that a
machine that gets slower or busier meets all of them. Medians over the rounds. FILE gets the table (markdown), and the
numbers of every round stand beside it as json.
"""
import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import figures
import least
from load import Load, LoadError, machine_busy_s, measure, processor_s, resident_mb
from systems import AEADS, ROOT, PlainChain, SystemFailed, TunicNetwork, WebServer, end_on_signals, say
from tor_network import TorNetwork

CIRCUITS = 16  # that a client's status tells the building time of
OURS = f"tunic, {AEADS[-1]}"
RATIOS = ((OURS, "tor"), ("tunic, libcrypto", "tor"), ("tunic, libsodium", "tor"), (OURS, "plain"))


def systems_to_measure(server, only):
    made = {"tor": TorNetwork, "plain": lambda: PlainChain(server)}
    made.update({aead: lambda aead=aead: TunicNetwork(aead) for aead in AEADS})
    return [make for name, make in made.items() if not only or name in only]


def bring_up(stack, makes):
    """The systems that came up, and why others did not."""
    systems, missing = [], []
    for make in makes:
        system = make()
        say(f"starting {system.name} ...")
        try:
            systems.append(stack.enter_context(system))
        except SystemFailed as error:
            missing.append(f"{system.name}: {error}")
            say(f"  not measured: {error}")
    return systems, missing


def measure_round(system, server, seconds):
    pids = system.pids()
    load = Load(system.url(server), system.socks)
    load.use_circuits(CIRCUITS)
    built = system.circuit_build_ms()
    found = measure(load, pids.values(), seconds, repeats=3)
    if built:
        found["circuit_build_ms"] = statistics.median(built)
    if hasattr(system, "aead"):
        found["ciphers_cpu_per_GB_s"] = least.ciphers_cpu_per_GB_s(system.aead)
    found["relay_resident_MB"] = max(resident_mb(pid) for name, pid in pids.items() if name[0] in "rx")
    return found


class Rest:
    """A second before each measurement, in which the one before it dies away. What then still uses the machine is what
    the systems take while nobody uses them, and other programs."""

    def __init__(self, systems):
        self.systems = systems
        self.idle, self.others = [], []

    def take(self, seconds=1):
        pids = [pid for system in self.systems for pid in system.pids().values()]
        ours, all_of_it = processor_s(pids), machine_busy_s()
        time.sleep(seconds)
        ours, all_of_it = processor_s(pids) - ours, machine_busy_s() - all_of_it
        self.idle.append(ours / seconds)
        self.others.append(max(0, all_of_it - ours) / seconds / os.cpu_count())


def run_rounds(systems, server, arguments, missing, rest):
    samples = {system.name: figures.Samples() for system in systems}
    for number in range(arguments.rounds):
        for system in list(systems):
            say(f"round {number + 1} of {arguments.rounds}: {system.name}")
            rest.take()
            try:
                samples[system.name].add(measure_round(system, server, arguments.seconds))
            except (LoadError, SystemFailed) as error:
                missing.append(f"{system.name}, round {number + 1}: {error}")
                say(f"  failed: {error}")
    return samples


def report(samples, systems, missing, rest, arguments):
    rate = 1e3 / samples[OURS].median("one_stream_cpu_per_GB_s") if OURS in samples and \
        samples[OURS].median("one_stream_cpu_per_GB_s") else None
    lines = ["# Beside tor and plain forwarders", "",
             f"Written by `make bench-peers`. {figures.machine()}; everything on loopback: load generator, web server and all "
             f"nodes share the cores. Medians of {arguments.rounds} rounds, taken in turns.", "",
             figures.table(samples, ratios=RATIOS), "",
             "Ratios: how many times better, whichever way the figure counts. Each network is a client, a guard, a middle and "
             "an exit, and one authority that carries no traffic; streams run "
             f"{arguments.seconds:g} s. Processor time is that of all the system's processes, authority included.", ""]
    lines += [f"- {system.name}: {system.note}" for system in systems]
    lines += [f"- while nobody used them all systems together took {100 * statistics.median(rest.idle):.1f} % of one core",
              f"- other programs took {100 * statistics.median(rest.others):.0f} % of the machine: the more, the less do times and rates "
              "say, and the more does processor time"]
    if rate:
        lines += [f"- {OURS}: {rate:.0f} MB a second of processor time, client and three relays together"]
    lines += [f"- not measured: {reason}" for reason in missing]
    nearness = least.table(samples)
    if nearness:
        lines += ["", "## How near the least", "",
                  "Every byte is sealed and opened in three layers and on three links, and goes through four programs. The least is therefore "
                  "the time of these twelve passes, alone and at their best (tests/bench/aead), and that of four plain forwarders.", "", nearness]
    return "\n".join(lines) + "\n"


def have_tor():
    """Installs Debian's tor where it is missing, as everything else a test needs."""
    subprocess.run(["sh", os.path.join(ROOT, "tests/system/packages.sh"), "tor"], stdout=sys.stderr, check=True)


def run(arguments):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(WebServer())
        systems, missing = bring_up(stack, systems_to_measure(server, arguments.only))
        rest = Rest(systems)
        samples = run_rounds(systems, server, arguments, missing, rest)
    text = report(samples, systems, missing, rest, arguments)
    print(text)
    if arguments.write:
        figures.write(arguments.write, text, samples)
    return 1 if missing else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="for each bulk download")
    parser.add_argument("--only", nargs="*", help="tor plain libsodium libcrypto ipsec-mb")
    parser.add_argument("--write", metavar="FILE")
    arguments = parser.parse_args()
    end_on_signals()
    try:
        if not arguments.only or "tor" in arguments.only:
            have_tor()
        return run(arguments)
    except KeyboardInterrupt:
        say("interrupted; everything is stopped")
        return 130
    except (SystemFailed, subprocess.CalledProcessError) as error:
        say(f"Not measured: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
