#!/usr/bin/env -S python3 -B
"""This project's network, Debian's tor and plain forwarders over an emulated wide-area network (wan.c). Needs root.

usage: wan.py [--seconds N] [--only NAME ...] [--write FILE]

Every node is a host of its own: relays 15 ms and the client 10 ms from the core, 200 Mbit/s up and down, queues of 50 ms;
the web server 10 ms and 1 Gbit/s. The systems run one after another on the same hosts. FILE gets the table (markdown).
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import figures
from load import SIZES, Load, LoadError, jain, processor_s, rate_mbps, resident_mb
from peers import have_tor
from systems import AEADS, BUILD, PlainChain, Place, Processes, SystemFailed, TunicNetwork, WebServer, end_on_signals, say
from tor_network import TorNetwork

RELAY_MS, CLIENT_MS, WEB_MS = 15, 10, 10
STARTING_S = 3
ACCESS_MBIT, WEB_MBIT, QUEUE_MS = 200, 1000, 50
LOSSY_HOST, LOSS_PERCENT = "x1", 0.1  # the exit is on every path
PATH_RTT_MS = 2 * (CLIENT_MS + 2 * 3 * RELAY_MS + WEB_MS)
NODES = {"a1": RELAY_MS, "r1": RELAY_MS, "r2": RELAY_MS, "x1": RELAY_MS, "c1": CLIENT_MS}
UNEQUAL = {"a1": RELAY_MS, "r1": RELAY_MS, "r2": 2, "r3": 45, "x1": RELAY_MS, "c1": CLIENT_MS}
SMALL = dict(SIZES)["50KB"]
UPLOADS = SIZES[1:]
LONG_UPLOAD = 200 << 20
OURS = f"tunic, {AEADS[-1]}"
RATIOS = ((OURS, "tor"), (OURS, "plain"))

ROWS = (
    ("ttfb_same_circuit_ms", "first byte, circuit in use", figures.LOWER),
    ("ttfb_same_circuit_rtt", "the same", figures.LOWER),
    ("ttfb_early_ms", "first byte, the request sent without waiting", figures.LOWER),
    ("ttfb_early_rtt", "the same", figures.LOWER),
    ("ttfb_fresh_isolation_ms", "first byte, new isolation", figures.LOWER),
    ("circuit_build_ms", "building a three-hop circuit", figures.LOWER),
    *((f"transfer_{name}_{kind}", text, figures.LOWER) for name, _ in SIZES
      for kind, text in (("s", name), ("rtt", "the same"))),
    *((f"upload_{name}_{kind}", text, figures.LOWER) for name, _ in UPLOADS for kind, text in (("s", f"{name} up"), ("rtt", "the same"))),
    ("long_upload_MBps", f"{LONG_UPLOAD >> 20} MB up, from the request to the answer", figures.HIGHER),
    ("one_stream_MBps", f"one stream (at most {ACCESS_MBIT / 8:g})", figures.HIGHER),
    ("one_stream_under_way_MBps", "the same from the 4th second on, median second", figures.HIGHER),
    ("8_streams_MBps", f"8 streams together (at most {ACCESS_MBIT / 8:g})", figures.HIGHER),
    ("8_streams_fairness_jain", "fairness of the 8", figures.HIGHER),
    ("50KB_beside_bulk_x", "50 KB beside a download, slower by", figures.LOWER),
    ("50KB_beside_own_bulk_x", "the same, the download on the same circuit", figures.LOWER),
    ("lossy_50KB_s", f"{LOSS_PERCENT} % loss: 50 KB", figures.LOWER),
    ("lossy_one_stream_MBps", f"{LOSS_PERCENT} % loss: one stream", figures.HIGHER),
    ("lossy_8_streams_MBps", f"{LOSS_PERCENT} % loss: 8 streams together", figures.HIGHER),
    ("8_streams_unequal_paths_x", "8 streams over short and long paths: most by least", figures.LOWER),
    ("cpu_per_GB_s", "processor time a GB", figures.LOWER),
    ("resident_largest_relay_MB", "memory of the largest relay, afterwards", figures.LOWER),
)


class Laboratory(Place):
    """The hosts. Each is entered by the path of its namespace, which links in `folder` give a name."""

    def __init__(self, delays):
        self.hosts = tuple(delays)
        self.delays = {**delays, "web": WEB_MS}
        self.processes = Processes()
        self.folder = tempfile.TemporaryDirectory(prefix="tunic-wan-")
        self.addresses = {name: f"198.18.0.{i + 1}" for i, name in enumerate(delays)}
        self.addresses["web"] = "198.18.1.1"
        self.exec_prefix = f"nsenter --net={self.folder.name}/{{name}} --"

    def __enter__(self):
        config = os.path.join(self.folder.name, "hosts")
        with open(config, "w") as opened:
            for name, address in self.addresses.items():
                opened.write(f"{name} {address} {self.delays[name]} {WEB_MBIT if name == 'web' else ACCESS_MBIT} {QUEUE_MS} 0\n")
        self.wan = self.processes.start("wan", [f"{BUILD}/tests/wan", config], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=None, text=True)
        for words in iter(lambda: self.wan.stdout.readline().split(), ["ready"]):
            if not words:
                self.__exit__()
                raise SystemFailed("the emulated network did not start (see above; it needs root)")
            os.symlink(words[1], os.path.join(self.folder.name, words[0]))
        return self

    def __exit__(self, *_):
        self.wan.stdin.close()  # it ends with its input, and the namespaces with it
        self.processes.stop()
        self.folder.cleanup()

    def address(self, name):
        return self.addresses[name]

    def prefix(self, name):
        return self.exec_prefix.format(name=name).split()

    def say(self, line):
        self.wan.stdin.write(line + "\n")
        self.wan.stdin.flush()

    def set_loss(self, name, percent):
        self.say(f"loss {name} {percent}")

    def counts(self):
        """What the emulation did since the last call."""
        self.say("count")
        return {words[0]: float(words[1]) for words in iter(lambda: self.wan.stdout.readline().split(), ["end"])}

    def read(self, name, path):
        done = subprocess.run([*self.prefix(name), "cat", path], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def device_drops(self):
        """Packets that the kernel dropped because the emulation did not take them in time."""
        return sum(int(line.split()[12]) for name in self.addresses
                   for line in self.read(name, "/proc/net/dev").splitlines() if line.strip().startswith("wan0:"))


def beside(load, alone_s, bulk_user):
    """How many times longer a small request takes while a download runs."""
    return statistics.median(load.small_beside_bulk_s(SMALL, 9, bulk_user)) / alone_s


def bulk_figures(load, seconds, prefix=""):
    one, eight = load.bulk(1, seconds), load.bulk(8, seconds)
    return {f"{prefix}one_stream_MBps": rate_mbps(one[0]), f"{prefix}8_streams_MBps": sum(map(rate_mbps, eight)),
            f"{prefix}8_streams_fairness_jain": jain(transfer.bytes for transfer in eight)}, one + eight


def measure_clean(load, pids, seconds):
    found = {}
    load.fetch(1000)
    first = statistics.median(load.first_byte_s() for _ in range(7))
    found["ttfb_same_circuit_ms"] = 1e3 * first
    found["ttfb_same_circuit_rtt"] = 1e3 * first / PATH_RTT_MS
    if load.socks:  # the plain chain has no request to wait for
        early = statistics.median(load.early_first_byte_s() for _ in range(7))
        found["ttfb_early_ms"], found["ttfb_early_rtt"] = 1e3 * early, 1e3 * early / PATH_RTT_MS
    found["ttfb_fresh_isolation_ms"] = 1e3 * statistics.median(load.first_byte_s(load.fresh_user()) for _ in range(5))
    for name, size in SIZES:
        took = statistics.median(load.fetch(size).total_s for _ in range(5))
        found[f"transfer_{name}_s"] = took
        found[f"transfer_{name}_rtt"] = 1e3 * took / PATH_RTT_MS
    for name, size in UPLOADS:
        took = statistics.median(load.send(size) for _ in range(5))
        found[f"upload_{name}_s"] = took
        found[f"upload_{name}_rtt"] = 1e3 * took / PATH_RTT_MS
    found["long_upload_MBps"] = LONG_UPLOAD / 1e6 / load.send(LONG_UPLOAD)
    before = processor_s(pids)
    rates, transfers = bulk_figures(load, seconds)
    found["cpu_per_GB_s"] = (processor_s(pids) - before) / (sum(transfer.bytes for transfer in transfers) / 1e9)
    found.update(rates)
    found["one_stream_under_way_MBps"] = statistics.median(load.seconds_MBps(seconds)[STARTING_S:])
    found["50KB_beside_bulk_x"] = beside(load, found["transfer_50KB_s"], "bulk")
    found["50KB_beside_own_bulk_x"] = beside(load, found["transfer_50KB_s"], None)
    return found


def measure_lossy(load, seconds):
    found = {"lossy_50KB_s": statistics.median(load.fetch(SMALL).total_s for _ in range(5))}
    found.update(bulk_figures(load, seconds, "lossy_")[0])
    return found


class UnequalNetwork(TunicNetwork):
    RELAYS = 3


def measure_unequal(found, seconds, notes):
    """Eight downloads whose middle relays are near and far; all of them pass the exit's line, which is the slowest place."""
    with Laboratory(UNEQUAL) as lab, WebServer(lab) as server, UnequalNetwork(AEADS[-1], lab) as system:
        load = Load(system.url(server), system.socks, lab.prefix("c1"))
        load.fetch(1000)
        rates = sorted(map(rate_mbps, load.bulk(8, 2 * seconds)))
        found["8_streams_unequal_paths_x"] = rates[-1] / rates[0]
        notes.append(f"paths of different lengths: relays {UNEQUAL['r2']}, {UNEQUAL['r1']} and {UNEQUAL['r3']} ms from the core, of which "
                     f"the client's guard is one and the circuits' middle relays the others; MB/s of the eight: "
                     f"{' '.join(f'{rate:.2f}' for rate in rates)}")


def emulation_note(name, lab, drops_before):
    counts = lab.counts()
    dropped = sum(value for key, value in counts.items() if "_dropped_" in key)
    lost = sum(value for key, value in counts.items() if key.endswith("_lost_packets"))
    sent = sum(value for key, value in counts.items() if key.endswith("_sent_packets"))
    where = ", ".join(f"{key.split('_dropped')[0]} {key.split('_')[2]} {value:.0f}" for key, value in counts.items()
                      if "_dropped_" in key and value)
    return (f"{name}: {sent:.0f} packets, {dropped:.0f} dropped at full queues{' (' + where + ')' if where else ''}, {lost:.0f} "
            f"lost at random, {lab.device_drops() - drops_before} never taken from the kernel; the emulation took "
            f"{100 * counts['processor_s'] / counts['elapsed_s']:.0f} % of a core, and was late by {counts['late_mean_us']:.0f} us on "
            f"average, by more than 1 ms for {counts['late_over_1ms_percent']:.1f} % of the trains of packets")


def measure_system(system, server, lab, seconds, notes):
    load = Load(system.url(server), system.socks, lab.prefix("c1"))
    lab.counts()
    drops = lab.device_drops()
    found = {}
    try:
        found.update(measure_clean(load, system.pids().values(), seconds))
        if system.socks:
            found["resident_largest_relay_MB"] = max(resident_mb(pid) for node, pid in system.pids().items() if node[0] in "rx")
        built = system.circuit_build_ms()
        if built:
            found["circuit_build_ms"] = statistics.median(built)
        lab.set_loss(LOSSY_HOST, LOSS_PERCENT)
        found.update(measure_lossy(load, seconds))
    finally:
        lab.set_loss(LOSSY_HOST, 0)
        notes.append(emulation_note(system.name, lab, drops))
        if found:
            say("  " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()))
    return found


def report(samples, notes, missing, congestion):
    lines = ["# Over a wide-area network", "",
             f"Written by `make bench-wan`. {figures.machine()}; the network is emulated (tests/bench/wan.c). Relays {RELAY_MS} ms and client "
             f"{CLIENT_MS} ms from the core, {ACCESS_MBIT} Mbit/s, queues of {QUEUE_MS} ms; web server {WEB_MS} ms and {WEB_MBIT} Mbit/s. A round trip "
             f"over client, three relays and web server takes {PATH_RTT_MS} ms.", "",
             figures.table(samples, ROWS, RATIOS), "",
             "Ratios: how many times better, whichever way the figure counts. Loss is on the exit's access link, both directions.", "",
             f"- TCP congestion control that the namespaces have: {congestion}"]
    lines += [f"- {note}" for note in notes]
    lines += [f"- not measured: {reason}" for reason in missing]
    return "\n".join(lines) + "\n"


def congestion_control(lab):
    folder = "/proc/sys/net/ipv4/"
    return (f"{lab.read('r1', folder + 'tcp_congestion_control')} unless a program asks for another of "
            f"{lab.read('r1', folder + 'tcp_available_congestion_control')}")


def run(arguments):
    samples, notes, missing = {}, [], []
    with Laboratory(NODES) as lab, WebServer(lab) as server:
        makes = {"plain": lambda: PlainChain(server, lab), "tor": lambda: TorNetwork(lab),
                 AEADS[-1]: lambda: TunicNetwork(AEADS[-1], lab)}
        congestion = congestion_control(lab)
        for make in (make for name, make in makes.items() if not arguments.only or name in arguments.only):
            system = make()
            say(f"{system.name} ...")
            try:
                with system:
                    samples[system.name] = figures.Samples()
                    samples[system.name].add(measure_system(system, server, lab, arguments.seconds, notes))
            except (SystemFailed, LoadError) as error:
                missing.append(f"{system.name}: {error}")
                say(f"  failed: {error}")
    if OURS in samples:
        unequal = {}
        try:
            measure_unequal(unequal, arguments.seconds, notes)
            samples[OURS].add(unequal)
        except (SystemFailed, LoadError) as error:
            missing.append(f"paths of different lengths: {error}")
    text = report(samples, notes, missing, congestion)
    print(text)
    if arguments.write:
        figures.write(arguments.write, text, samples)
    return 1 if missing else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="for each bulk download")
    parser.add_argument("--only", nargs="*", help=f"plain tor {AEADS[-1]}")
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
