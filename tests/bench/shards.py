#!/usr/bin/env -S python3 -B
"""What a second shard costs real relays: processor time a GB of networks on loopback whose relays have one shard, and two.

Both networks are up at once and take turns under the same load, 8 downloads on 8 circuits, from 4 clients, so that there are
links enough for all shards. Prints `name value` lines; medians over the rounds. A part of `make bench`; --rounds N, --seconds N.
"""
import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from load import ENDLESS_BYTES, TICKS_PER_S, Load, LoadError, processor_s, stop_all
from systems import AEADS, BUILD, SystemFailed, TunicNetwork, WebServer, end_on_signals, free_ports, say

CLIENTS, STREAMS_PER_CLIENT = 4, 2
SHARDS = (1, 2)
ATTEMPTS = 50


class ShardedNetwork(TunicNetwork):
    """A network whose relays have so many shards, and further clients."""

    def __init__(self, shards):
        super().__init__(AEADS[-1])
        self.name = f"{shards} shards"
        self.shards = shards
        self.proxies = []

    def placed(self):
        options, socks = super().placed()
        return [*options, "--shards", self.shards], socks

    def up(self):
        super().up()
        self.proxies = [self.socks]
        base = free_ports(CLIENTS)
        for i in range(1, CLIENTS):
            self.proxies.append(f"127.0.0.1:{base + i}")
            data = os.path.join(self.folder, f"client{i}")
            self.processes.start(f"client{i}", [f"{BUILD}/tunic", "run", "--network", os.path.join(self.network, "network"),
                                                "--data", data, "--socks", self.proxies[-1], "--aead", self.aead])
            self.wait_for(data)

    def wait_for(self, data):
        for _ in range(ATTEMPTS):
            done = subprocess.run([f"{BUILD}/tunic", "wait", "--data", data], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode == 0:
                return
            time.sleep(0.1)  # it does not listen yet
        raise SystemFailed(f"the client in {data} is not ready: {done.stderr.strip()}")

    def relays(self):
        return [pid for name, pid in self.pids().items() if name[0] in "rx"]


def thread_seconds(pid):
    """Processor seconds of each thread."""
    seconds = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat") as opened:
            fields = opened.read().rsplit(")", 1)[1].split()
        seconds[thread] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return seconds


def one_round(network, loads, seconds):
    """Processor seconds a GB of all the relays together, and MB/s."""
    before = processor_s(network.relays())
    started = [(load, load.start(ENDLESS_BYTES, f"stream{i}", seconds)) for load in loads for i in range(STREAMS_PER_CLIENT)]
    try:
        transfers = [load.finish(process, ENDLESS_BYTES, is_timed=True) for load, process in started]
    finally:
        stop_all([process for _, process in started])
    moved = sum(transfer.bytes for transfer in transfers)
    if not all(transfer.bytes for transfer in transfers):
        raise LoadError("a stream brought nothing")
    return (processor_s(network.relays()) - before) / (moved / 1e9), moved / 1e6 / seconds


def second_share(network):
    """Of the relays' processor time, what the less busy of two shards had."""
    busiest = [sorted(thread_seconds(pid).values())[-2:] for pid in network.relays()]
    return sum(pair[0] for pair in busiest) / sum(map(sum, busiest))


def measure(rounds, seconds):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(WebServer())
        networks = [stack.enter_context(ShardedNetwork(shards)) for shards in SHARDS]
        loads = [[Load(server.url, proxy) for proxy in network.proxies] for network in networks]
        for load in sum(loads, []):
            load.fetch(1000, "stream0")
        figures = []
        for number in range(rounds):
            order = range(len(SHARDS)) if number % 2 == 0 else reversed(range(len(SHARDS)))  # who is first must not matter
            measured = {i: one_round(networks[i], loads[i], seconds) for i in order}
            figures.append([measured[i] for i in range(len(SHARDS))])
        share = second_share(networks[1])
    costs = [statistics.median(each[i][0] for each in figures) for i in range(len(SHARDS))]
    by_round = sorted(each[1][0] / each[0][0] for each in figures)
    for i, shards in enumerate(SHARDS):
        print(f"relays_of_{shards}_shards_cpu_s_per_GB {costs[i]:.3f}")
        print(f"relays_of_{shards}_shards_MBps {statistics.median(each[i][1] for each in figures):.0f}")
    print(f"second_shard_share_percent {100 * share:.0f}")
    print(f"two_shards_cost_x {costs[1] / costs[0]:.3f}")
    # How far single rounds lie apart: a ratio means nothing that is smaller than this.
    print(f"two_shards_cost_least_x {by_round[0]:.3f}\ntwo_shards_cost_most_x {by_round[-1]:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    arguments = parser.parse_args()
    end_on_signals()
    try:
        measure(arguments.rounds, arguments.seconds)
    except (SystemFailed, LoadError) as error:
        say(f"Shards could not be measured: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; everything is stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
