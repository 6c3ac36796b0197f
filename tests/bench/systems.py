"""What is compared: each system is a context that starts its processes, and stops them by id whatever happens.

A system has `name`, `socks` (None: no proxy), `url(server)`, `pids()` by node, `circuit_build_ms()` and `note`.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# What computes the ciphers, the fastest last; as the Makefile finds it.
AEADS = ["libsodium", "libcrypto"] + (["ipsec-mb"] if os.path.exists("/usr/include/intel-ipsec-mb.h") else [])
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(ROOT, "build"))
STOP_POLITELY_S = 5


class SystemFailed(Exception):
    """A system did not come up: its column stays empty, and says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def end_on_signals():
    """SIGTERM and SIGHUP unwind like Ctrl-C, so that every context is left."""
    def leave(*_):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def can_listen(port):
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports(count):
    """The first of `count` free ports in a row, below those that the system gives to connections."""
    for _ in range(200):
        base = random.randrange(12000, 32000 - count)
        if all(can_listen(port) for port in range(base, base + count)):
            return base
    raise SystemFailed(f"no {count} free ports in a row")


class Place:
    """Where nodes live: all on loopback. A laboratory of namespaces is another one (wan.py)."""

    hosts = ()        # those with an address of their own
    exec_prefix = ""  # puts a program on {name}

    def address(self, _name):
        return "127.0.0.1"

    def prefix(self, _name):
        return []


class Processes:
    """Children by name. The kernel ends them too if this program is killed before it can."""

    def __init__(self, place=None):
        self.place = place or Place()
        self.children = {}

    def start(self, name, command, host=None, **options):
        command = ["setpriv", "--pdeathsig", "KILL", "--", *self.place.prefix(host or name), *map(str, command)]
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        self.children[name] = subprocess.Popen(command, start_new_session=True, **options)
        return self.children[name]

    def pids(self):
        return {name: child.pid for name, child in self.children.items()}

    def check(self):
        for name, child in self.children.items():
            if child.poll() is not None:
                raise SystemFailed(f"{name} ended with {child.returncode}")

    def stop(self):
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        ends = time.monotonic() + STOP_POLITELY_S
        for child in self.children.values():
            try:
                child.wait(max(0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdout:
                child.stdout.close()
        self.children = {}


class System:
    """What all have in common: a folder, processes, and an orderly end."""

    name = ""
    socks = None
    note = ""

    def __init__(self, place=None):
        self.place = place or Place()
        self.processes = Processes(self.place)
        self.folder = tempfile.mkdtemp(prefix="tunic-bench-")

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.down()
        finally:
            self.processes.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def up(self):
        raise NotImplementedError

    def down(self):
        """What has to be done before the processes are stopped."""

    def url(self, server):
        return server.url

    def pids(self):
        return self.processes.pids()

    def circuit_build_ms(self):
        """How long a three-hop circuit takes, one value for each that was built; empty: not known."""
        return []


class WebServer(System):
    """Where every request goes."""

    name = "web server"

    def __init__(self, place=None, host="web"):
        super().__init__(place)
        self.host = host
        self.port = 0
        self.url_text = ""

    def up(self):
        address = self.place.address(self.host)
        child = self.processes.start("web", [f"{BUILD}/tests/web-server", 0, 1, address], host=self.host,
                                     stdout=subprocess.PIPE, text=True)
        words = child.stdout.readline().split()
        if words[:1] != ["port"]:
            raise SystemFailed("the web server did not start")
        self.port = int(words[1])
        self.url_text = f"http://{address}:{self.port}"

    @property
    def url(self):
        return self.url_text


class PlainChain(System):
    """Four forwarders in a row, as a client and three relays would stand: the floor."""

    name = "plain"
    note = "four plain forwarders in a row, no proxy, no secrets"
    HOSTS = ("c1", "r1", "r2", "x1")

    def __init__(self, server, place=None):
        super().__init__(place)
        self.server = server
        self.base = free_ports(len(self.HOSTS))

    def up(self):
        places = [(self.place.address(host), self.base + i) for i, host in enumerate(self.HOSTS)]
        places.append((self.place.address(self.server.host), self.server.port))
        for host, own, after in zip(self.HOSTS, places, places[1:]):
            child = self.processes.start(host, [f"{BUILD}/tests/forwarder", *own, *after], stdout=subprocess.PIPE, text=True)
            if child.stdout.readline() != "ready\n":
                raise SystemFailed("a forwarder did not start")

    def url(self, _server):
        return f"http://{self.place.address(self.HOSTS[0])}:{self.base}"


class TunicNetwork(System):
    """This project's network, with one of the libraries for its ciphers."""

    AUTHORITIES, RELAYS, EXITS = 1, 2, 1
    UP_S = 60
    ATTEMPTS = 2

    def __init__(self, aead, place=None):
        super().__init__(place)
        self.aead = aead
        self.name = f"tunic, {aead}"
        self.note = f"`tunic-network up`, --aead {aead}"
        self.network = os.path.join(self.folder, "net")

    def run(self, *words):
        """Its exit code and words. It is asked to end, not killed: it then stops what it has started."""
        try:
            child = subprocess.Popen([f"{BUILD}/tunic-network", *map(str, words)], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        except OSError as error:
            raise SystemFailed(f"tunic-network: {error.strerror}") from error
        try:
            said = child.communicate(timeout=self.UP_S)[0].strip()
        except BaseException as error:
            child.terminate()
            said = child.communicate()[0].strip()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        return child.returncode, said

    def placed(self):
        """The options that put nodes on their hosts, and the client's address there."""
        if not self.place.hosts:
            base = free_ports(self.AUTHORITIES + self.RELAYS + self.EXITS + 1)
            return ["--port-base", base], f"127.0.0.1:{base + self.AUTHORITIES + self.RELAYS + self.EXITS}"
        listed = os.path.join(self.folder, "addresses")
        with open(listed, "w") as opened:
            opened.writelines(f"{name} {self.place.address(name)}\n" for name in self.place.hosts)
        return ["--addresses", listed, "--exec", self.place.exec_prefix], "127.0.0.1:9150"

    def up(self):
        options, self.socks = self.placed()
        for attempt in range(1, self.ATTEMPTS + 1):
            code, said = self.run("up", self.network, "--authorities", self.AUTHORITIES, "--relays", self.RELAYS,
                                  "--exits", self.EXITS, "--socks", self.socks, "--aead", self.aead, *options)
            if code == 0:
                break
            self.note += f"; attempt {attempt} to start it: {' '.join(said.splitlines()[-2:]) or 'no word'}"
            say(f"  {self.note}")
            shutil.rmtree(self.network, ignore_errors=True)
        if code == 0:
            code, said = self.run("wait", self.network)
        if code != 0:
            raise SystemFailed(f"tunic-network ended with {code}: {said.splitlines()[-1] if said else 'no word'}")

    def pids(self):
        with open(os.path.join(self.network, "pids")) as opened:
            return {line.split()[0]: int(line.split()[1]) for line in opened if line.strip()}

    def circuit_build_ms(self):
        done = subprocess.run([f"{BUILD}/tunic", "status", "--json", "--data", os.path.join(self.network, "c1")],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        figure = json.loads(done.stdout)["figures"].get("circuit_build_us") if done.returncode == 0 else None
        return [figure / 1000] if figure else []

    def down(self):
        if not os.path.exists(os.path.join(self.network, "pids")):
            return
        pids = self.pids()
        self.run("down", self.network)
        for pid in filter(self.is_ours, pids.values()):
            os.kill(pid, signal.SIGKILL)

    def is_ours(self, pid):
        """The id may be another process's by now."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as opened:
                return self.network.encode() in opened.read()
        except OSError:
            return False
