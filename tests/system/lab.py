"""A network of the real programs for tests: on ports of its own, stopped by process id whatever happens."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = os.environ.get("BUILD") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")


def program(name):
    return os.path.join(BUILD, name)


def run(name, *arguments, timeout=90, errors=subprocess.STDOUT):
    """A program to its end: its exit code, and what it said."""
    done = subprocess.run([program(name), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=errors, timeout=timeout)
    return done.returncode, done.stdout.decode(errors="replace")


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
    raise RuntimeError("no row of free ports")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Lab:
    """`with Lab(...) as lab`: up at the beginning, gone at the end."""

    def __init__(self, authorities=1, relays=3, exits=1, clients=1):
        self.numbers = {"authorities": authorities, "relays": relays, "exits": exits, "clients": clients}
        self.folder = tempfile.mkdtemp(prefix="tunic-test-")
        self.base = free_ports(authorities + relays + exits + clients)
        self.socks = self.base + authorities + relays + exits
        self.restarted = []

    def up(self, *more):
        numbers = [word for name, value in self.numbers.items() for word in (f"--{name}", value)]
        return run("tunic-network", "up", self.folder, *numbers, "--port-base", self.base,
                   "--socks", f"127.0.0.1:{self.socks}", *more)

    def down(self):
        return run("tunic-network", "down", self.folder)

    def __enter__(self):
        try:
            code, said = self.up()
            if code != 0:
                raise RuntimeError(f"up ended with {code}:\n{said}")
        except BaseException:
            self.show_logs()
            self.clear()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        self.clear()

    def clear(self):
        for process in self.restarted:
            process.kill()
            process.wait()
        self.down()
        for pid in self.pids().values():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def show_logs(self):
        for name in sorted(os.listdir(self.folder)):
            log = os.path.join(self.folder, name, "log")
            if os.path.exists(log):
                with open(log, errors="replace") as opened:
                    print(f"-- {name}\n{''.join(opened.readlines()[-15:])}", end="")

    def pids(self):
        """Name to process id, of those that run."""
        try:
            with open(os.path.join(self.folder, "pids")) as pids:
                pairs = [line.split() for line in pids]
        except OSError:
            return {}
        return {name: int(pid) for name, pid in pairs if is_running(pid)}

    def status(self, name):
        code, said = run("tunic", "status", "--data", os.path.join(self.folder, name), "--json", errors=subprocess.DEVNULL)
        return json.loads(said) if said else {"code": code}

    def kill_and_restart(self, name, number=signal.SIGKILL, between=lambda: None):
        """kill -9 or another signal, then the same command again."""
        pid = self.pids()[name]
        with open(f"/proc/{pid}/cmdline", "rb") as opened:
            command = opened.read().split(b"\0")[:-1]
        os.kill(pid, number)
        until = time.monotonic() + 20
        while is_running(pid):
            assert time.monotonic() < until, f"{name} goes on after signal {number}"
            time.sleep(0.01)
        between()
        with open(os.path.join(self.folder, name, "log"), "ab") as log:
            self.restarted.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self.restarted[-1]


class Refused(Exception):
    """A SOCKS reply that is not success; `reply` is its number."""

    def __init__(self, reply):
        super().__init__(f"SOCKS reply {reply}")
        self.reply = reply


def receive_exactly(connection, count):
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise EOFError(f"{len(got)} of {count} bytes")
        got += more
    return got


def connect(socks_port, host, port, credentials=None, timeout=30):
    """A connection through the proxy; the name goes to the exit as it is."""
    connection = socket.create_connection(("127.0.0.1", socks_port), timeout)
    try:
        connection.sendall(b"\5\1\2" if credentials else b"\5\1\0")
        method = receive_exactly(connection, 2)[1]
        if method == 2:
            user, password = (word.encode() for word in credentials)
            connection.sendall(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
            if receive_exactly(connection, 2)[1] != 0:
                raise Refused(255)
        elif method != 0:
            raise Refused(255)
        name = host.encode()
        connection.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
        head = receive_exactly(connection, 4)
        receive_exactly(connection, {1: 6, 4: 18}[head[3]])
        if head[1] != 0:
            raise Refused(head[1])
        return connection
    except BaseException:
        connection.close()
        raise
