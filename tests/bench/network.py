#!/usr/bin/env -S python3 -B
"""One short run of this project's network on loopback, with each library for its ciphers. A part of `make bench`."""
import sys

sys.dont_write_bytecode = True

from load import Load, LoadError, measure, resident_mb
from systems import AEADS, SystemFailed, TunicNetwork, WebServer, end_on_signals, say

SECONDS, REPEATS = 2, 3


def one_run(aead, server):
    say(f"a network with {aead} ...")
    with TunicNetwork(aead) as system:
        pids = system.pids()
        figures = measure(Load(system.url(server), system.socks), pids.values(), SECONDS, repeats=REPEATS)
        figures["relay_resident_MB"] = max(resident_mb(pid) for name, pid in pids.items() if name[0] in "rx")
    for name, value in figures.items():
        print(f"network_{aead}_{name} {value:.4g}", flush=True)


def main():
    end_on_signals()
    try:
        with WebServer() as server:
            for aead in AEADS:
                one_run(aead, server)
    except (SystemFailed, LoadError) as error:
        say(f"The network could not be measured: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; everything is stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
