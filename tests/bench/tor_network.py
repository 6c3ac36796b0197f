"""A private network of Debian's tor, tuned to the fastest it can be.

What is chosen against the defaults: `Schedulers Vanilla` (the default scheduler waits for ticks of 10 ms), congestion
control by Vegas (cc_alg=2) and queues of 50,000 cells (the default closes fast circuits), no rate limits. The client
leaves the authority out of its paths, so that traffic crosses a client and three relays as everywhere else.
"""
import base64
import os
import socket
import subprocess
import sys
import time

from systems import System, SystemFailed, free_ports

CIRCUITS = 15
WARM_UP = 3
UP_S = 150
CONTROL_S = 20

COMMON = """TestingTorNetwork 1
DataDirectory {folder}
Nickname {name}
Log notice file {folder}/log
ShutdownWaitLength 0
AssumeReachable 1
PathsNeededToBuildCircuits 0.67
EnforceDistinctSubnets 0
ContactInfo nobody
Schedulers Vanilla
"""
LISTENING = "Address {address}\nORPort {address}:{port}\nSocksPort 0\n"
AUTHORITY = """DirPort {address}:{dir_port}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ExitPolicy reject *:*
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 30
V3AuthVoteDelay 2
V3AuthDistDelay 2
ConsensusParams cc_alg=2 circ_max_cell_queue_size=50000
"""
RELAY = "BandwidthRate 1 GBytes\nBandwidthBurst 1 GBytes\n"
MIDDLE = "ExitPolicy reject *:*\n"
EXIT = "ExitRelay 1\nExitPolicyRejectPrivate 0\nExitPolicy accept *:*\n"
CLIENT = """SocksPort {socks}
ControlPort 127.0.0.1:{control}
ClientRejectInternalAddresses 0
ClientDNSRejectInternalAddresses 0
ExcludeNodes a1
"""


class TorNetwork(System):
    """One authority, two relays, one exit, one client."""

    name = "tor"
    NODES = ("a1", "r1", "r2", "x1", "c1")

    def __init__(self, place=None):
        super().__init__(place)
        self.note = subprocess.run(["tor", "--version"], capture_output=True, text=True).stdout.split("\n")[0].rstrip(".")
        self.note += ", tuned"
        self.base = free_ports(2 * len(self.NODES))
        self.socks = f"127.0.0.1:{self.base + 2 * self.NODES.index('c1')}"
        self.control_port = self.base + 2 * self.NODES.index("c1") + 1

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def port(self, name):
        return self.base + 2 * self.NODES.index(name)

    def make_authority(self):
        """Its long-term keys; returns the line that names it to everybody."""
        keys, address = self.path("a1", "keys"), self.place.address("a1")
        os.makedirs(keys, mode=0o700)
        subprocess.run(["tor-gencert", "--create-identity-key", "-m", "12", "-a", f"{address}:{self.port('a1') + 1}",
                        "-i", f"{keys}/authority_identity_key", "-s", f"{keys}/authority_signing_key",
                        "-c", f"{keys}/authority_certificate", "--passphrase-fd", "0"],
                       input="bench\n", text=True, capture_output=True, check=True)
        with open(f"{keys}/authority_certificate") as opened:
            identity = next(line.split()[1] for line in opened if line.startswith("fingerprint"))
        listed = subprocess.run(["tor", "--list-fingerprint", "--orport", "1", "--dirserver", "x 127.0.0.1:1 " + "f" * 40,
                                 "--datadirectory", self.path("a1"), "--quiet"], capture_output=True, text=True, check=True)
        fingerprint = "".join(listed.stdout.split()[1:])
        return (f"DirAuthority a1 orport={self.port('a1')} no-v2 v3ident={identity} "
                f"{address}:{self.port('a1') + 1} {fingerprint}\n")

    def settings(self, name):
        if name == "c1":
            return CLIENT.format(socks=self.socks, control=self.control_port)
        listening = LISTENING.format(address=self.place.address(name), port=self.port(name))
        if name == "a1":
            return listening + AUTHORITY.format(address=self.place.address(name), dir_port=self.port(name) + 1)
        return listening + RELAY + (EXIT if name == "x1" else MIDDLE)

    def up(self):
        authority = self.make_authority()
        for name in self.NODES:
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)
            with open(self.path(name, "torrc"), "w") as opened:
                opened.write(COMMON.format(folder=self.path(name), name=name) + authority + self.settings(name))
            self.processes.start(name, ["tor", "-f", self.path(name, "torrc"), "--quiet"])
        self.wait()

    def wait(self):
        ends = time.monotonic() + UP_S
        while time.monotonic() < ends:
            self.processes.check()
            try:
                with open(self.path("c1", "log")) as opened:
                    if "Bootstrapped 100%" in opened.read():
                        return
            except FileNotFoundError:
                pass
            time.sleep(0.2)
        raise SystemFailed(f"tor did not bootstrap within {UP_S} s")

    def circuit_build_ms(self):
        """Asked for where the client is: its control port may be another network namespace's."""
        command = [*self.place.prefix("c1"), sys.executable, "-B", os.path.abspath(__file__), str(self.control_port)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemFailed(f"tor's circuits: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        return [float(word) for word in done.stdout.split()]


class Control:
    """Tor's control protocol, as much as building circuits needs."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), CONTROL_S)
        self.lines = self.socket.makefile("rw", newline="\r\n")

    def __enter__(self):
        self.ask("AUTHENTICATE")
        self.ask("SETEVENTS CIRC")
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def read(self):
        line = self.lines.readline().rstrip("\r\n")
        if not line:
            raise SystemFailed("tor's control port is closed")
        return line

    def ask(self, command):
        """The lines of the answer; events that come in between are left out."""
        self.lines.write(command + "\r\n")
        self.lines.flush()
        answer = []
        while True:
            line = self.read()
            if line.startswith("650"):
                continue
            if line[:1] in "45" and line[:3].isdigit() and line[3:4] in " -":
                raise SystemFailed(f"tor says {line}")
            answer.append(line)
            if line.startswith("250 "):
                return answer

    def fingerprint(self, name):
        status = next(line for line in self.ask(f"GETINFO ns/name/{name}") if line.startswith("r "))
        return "$" + base64.b64decode(status.split()[2] + "=").hex().upper()

    def build_ms(self, path):
        """None if it failed: tor gives up a circuit when the machine is busy for too long."""
        began = time.perf_counter()
        answer = self.ask(f"EXTENDCIRCUIT 0 {path}")
        circuit = answer[-1].split()[2]
        while True:
            words = self.read().split()
            if words[:3] == ["650", "CIRC", circuit] and words[3] in ("FAILED", "CLOSED"):
                return None
            if words[:4] == ["650", "CIRC", circuit, "BUILT"]:
                took = time.perf_counter() - began
                self.ask(f"CLOSECIRCUIT {circuit}")
                return 1e3 * took


def main():
    """Circuits over r1, r2 and x1, asked for one after another; the first ones open the links and do not count."""
    with Control(int(sys.argv[1])) as control:
        path = ",".join(control.fingerprint(name) for name in ("r1", "r2", "x1"))
        for took in [control.build_ms(path) for _ in range(WARM_UP + CIRCUITS)][WARM_UP:]:
            if took is not None:
                print(f"{took:.3f}")


if __name__ == "__main__":
    main()
