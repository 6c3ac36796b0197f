#!/usr/bin/env -S python3 -B
"""The real programs on loopback: a network comes up, carries bytes, names its failures, survives kill -9 and garbage,
and goes away without a trace. Every network here has ports of its own. The last line is `N passed, M failed`."""
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True

import lab
from lab import Lab, Refused, connect, is_running, program, receive_exactly, run

MEGABYTE = 1000 * 1000
SEED = int(os.environ.get("TUNIC_SEED") or random.randrange(2**32))


def pattern(count, number):
    return random.Random(SEED * 1000 + number).randbytes(count)


class Digester(socketserver.BaseRequestHandler):
    """Takes bytes until the other side has no more, then answers their digest: only a half-close gets an answer."""

    def handle(self):
        digest = hashlib.sha256()
        while chunk := self.request.recv(65536):
            digest.update(chunk)
        self.request.sendall(digest.digest())


class Echoer(socketserver.BaseRequestHandler):
    def handle(self):
        while chunk := self.request.recv(65536):
            self.request.sendall(chunk)


class Server:
    """A server of this process on a free port of loopback."""

    def __init__(self, handler):
        class Threading(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64
        self.server = Threading(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class WebServer:
    def __enter__(self):
        self.process = subprocess.Popen([program("tests/web-server")], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.port = int(self.process.stdout.readline().split()[1])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def fetch(port, count, socks=None):
    """The body of GET /count, directly or through the proxy."""
    connection = connect(socks, "127.0.0.1", port) if socks else socket.create_connection(("127.0.0.1", port), 30)
    with connection:
        connection.sendall(f"GET /{count} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 200 ")
            while answer.readline() not in (b"\r\n", b""):
                pass
            return answer.read()


def upload(socks, port, data):
    with connect(socks, "127.0.0.1", port) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return receive_exactly(connection, 32)


def assert_reply(socks, host, port, expected):
    try:
        connect(socks, host, port).close()
    except Refused as refused:
        assert refused.reply == expected, f"{host}:{port}: reply {refused.reply}, not {expected}"
    else:
        raise AssertionError(f"{host}:{port} was connected to")


def wait_until(question, seconds, what):
    until = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def in_parallel(jobs):
    """Runs them all; the first failure is raised."""
    failures = []

    def guarded(job):
        try:
            job()
        except BaseException as failure:
            failures.append(failure)
    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# ---- on one network ----

def bytes_come_down_as_they_are(net):
    with WebServer() as web:
        assert fetch(web.port, 5 * MEGABYTE, net.socks) == fetch(web.port, 5 * MEGABYTE)


def bytes_go_up_as_they_are_and_a_half_close_is_one(net):
    data = pattern(3 * MEGABYTE, 1)
    with Server(Digester) as server:
        assert upload(net.socks, server.port, data) == hashlib.sha256(data).digest()


def many_streams_at_once_do_not_mix(net):
    with WebServer() as web, Server(Digester) as server, Server(Echoer) as echo:
        whole = fetch(web.port, MEGABYTE)

        def down(number):
            length = MEGABYTE - 1000 * number
            assert fetch(web.port, length, net.socks) == whole[:length]

        def up(number):
            data = pattern(MEGABYTE // 2 + number, number)
            assert upload(net.socks, server.port, data) == hashlib.sha256(data).digest()

        def talk(number):
            with connect(net.socks, "127.0.0.1", echo.port) as connection:
                for i in range(20):
                    data = pattern(1 + 977 * i, 100 * number + i)
                    connection.sendall(data)
                    assert receive_exactly(connection, len(data)) == data

        in_parallel([lambda job=job, number=number: job(number) for job in (down, up, talk) for number in range(4)])


def a_name_is_looked_up_at_the_exit(net):
    with Server(Echoer) as echo, connect(net.socks, "localhost", echo.port) as connection:
        connection.sendall(b"by name")
        assert receive_exactly(connection, 7) == b"by name"


def failures_have_their_replies(net):
    closed = lab.free_ports(1)
    assert_reply(net.socks, "127.0.0.1", closed, 5)
    assert_reply(net.socks, "no-such-host.invalid", 80, 4)


def status_tells_role_readiness_and_path(net):
    client, relay, authority = (net.status(name) for name in ("c1", "r1", "a1"))
    assert (client["role"], relay["role"], authority["role"]) == ("client", "relay", "authority"), (client, relay, authority)
    for status in (client, relay, authority):
        assert status["ready"] is True and status["cause"]["name"] == "ok", status
    paths = [text["value"].split() for text in client["texts"] if text["name"] == "path"]
    assert paths and all(len(set(path)) == 3 for path in paths), client
    assert "consensus" in client["expiries"], client
    code, said = run("tunic", "status", "--data", os.path.join(net.folder, "c1"))
    assert code == 0 and "ready" in said and "path" in said, said
    code, said = run("tunic-network", "status", net.folder)
    assert code == 0 and all(name in said for name in net.pids()), said


def metrics_are_what_prometheus_reads(net):
    sample = re.compile(r'(tunic_[a-z_]+)\{data="[^"]+"(,[a-z]+="[^"]*")*\} -?[0-9]+(\.[0-9]+)?')
    for name in ("c1", "r1", "x1", "a1"):
        code, said = run("tunic", "status", "--metrics", "--data", os.path.join(net.folder, name))
        assert code == 0, (code, said)
        types, lines = {}, said.splitlines()
        for line in lines:
            word = line.split(" ", 3)
            if line.startswith("# TYPE "):
                assert word[2] not in types and word[3] in ("counter", "gauge"), line
                types[word[2]] = word[3]
            elif not line.startswith("# HELP "):
                found = sample.fullmatch(line)
                assert found and found[1] in types and found[1].endswith("_total") == (types[found[1]] == "counter"), line
        assert any(line.startswith("tunic_ready{") and line.endswith(" 1") for line in lines), said
        dates = [int(line.split()[-1]) for line in lines if line.startswith("tunic_expiry_timestamp_seconds{")]
        assert len(dates) >= 2 and all(date > time.time() for date in dates), said
    code, said = run("tunic", "status", "--metrics", "--data", os.path.join(net.folder, "nobody"))
    assert code == 72 and said.count("tunic_up{") == 1 and "} 0" in said, (code, said)


def a_node_that_is_just_starting_is_waited_for(net):
    folder = tempfile.mkdtemp(prefix="tunic-test-")
    data, nodes = os.path.join(folder, "c"), []

    def start_late():
        time.sleep(1)
        nodes.append(subprocess.Popen([program("tunic"), "run", "--network", os.path.join(net.folder, "network"), "--data", data,
                                       "--socks", f"127.0.0.1:{lab.free_ports(1)}"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        code, said = run("tunic", "wait", "--data", data, "--timeout", 1)
        assert code == 72, (code, said)
        starter = threading.Thread(target=start_late)
        starter.start()
        code, said = run("tunic", "wait", "--data", data, "--timeout", 30)
        starter.join()
        assert code == 0 and "No node" not in said, (code, said)
    finally:
        for node in nodes:
            node.kill()
            node.wait()
        shutil.rmtree(folder)


def up_twice_leaves_the_first_alone(net):
    before = net.pids()
    code, said = net.up()
    assert code == 71 and "tunic-network down" in said, (code, said)
    assert net.pids() == before
    assert run("tunic-network", "wait", net.folder)[0] == 0


def a_taken_port_is_named_and_nothing_is_left(net):
    folder = tempfile.mkdtemp(prefix="tunic-test-")
    try:
        code, said = run("tunic-network", "up", folder, "--authorities", 1, "--relays", 2, "--exits", 1,
                         "--port-base", net.base, "--socks", f"127.0.0.1:{net.socks}")
        assert code == 68 and str(net.base) in said, (code, said)
        assert not os.path.exists(os.path.join(folder, "pids"))
        # The same from a program by itself.
        code, said = run("tunic", "run", "--network", os.path.join(net.folder, "network"), "--data", os.path.join(folder, "c"),
                         "--socks", f"127.0.0.1:{net.socks}")
        assert code == 68 and str(net.socks) in said, (code, said)
    finally:
        shutil.rmtree(folder)


def two_processes_never_share_a_folder(net):
    code, said = run("tunic", "run", "--network", os.path.join(net.folder, "network"), "--data", os.path.join(net.folder, "c1"),
                     "--socks", f"127.0.0.1:{lab.free_ports(1)}")
    assert code == 71 and str(net.pids()["c1"]) in said, (code, said)


def a_folder_is_one_kind_of_node_s(net):
    network = ("--network", os.path.join(net.folder, "network"))
    for name in ("c1", "r1", "a1"):
        copy = os.path.join(tempfile.mkdtemp(prefix="tunic-test-"), name)
        try:
            shutil.copytree(os.path.join(net.folder, name), copy, ignore=lambda folder, names: {"control"})
            before = sorted(os.listdir(copy))
            if name == "c1":
                code, said = run("tunic-relay", *network, "--data", copy, "--address", "127.0.0.1", "--port", lab.free_ports(1), timeout=20)
            else:
                code, said = run("tunic", "run", *network, "--data", copy, "--socks", f"127.0.0.1:{lab.free_ports(1)}", timeout=20)
            assert code == 66 and "is the folder of a" in said and "--data" in said, (code, said)
            assert sorted(os.listdir(copy)) == before
        finally:
            shutil.rmtree(os.path.dirname(copy))


def garbage_at_every_port_disturbs_nobody(net):
    before = net.pids()
    garbage = [b"", b"\0", b"\xff" * 65536, b"GET / HTTP/1.1\r\n\r\n", pattern(100000, 7), b"\5\xff", b"\5\1\0\5\1\0\3\xff",
               b"\1\1\2" + pattern(5000, 8), b"\2\1\2" + pattern(1248, 9)]

    def throw(family, address, data):
        with socket.socket(family) as connection:
            connection.settimeout(5)
            try:
                connection.connect(address)
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # thrown out is as good as ignored

    places = [(socket.AF_INET, ("127.0.0.1", port)) for port in range(net.base, net.socks + 1)]
    places += [(socket.AF_UNIX, os.path.join(net.folder, name, "control")) for name in before]
    in_parallel([lambda place=place: [throw(*place, data) for data in garbage] for place in places])
    assert net.pids() == before
    bytes_come_down_as_they_are(net)


def relays_keep_up_with_the_directory(net):
    def epochs():
        return [net.status(name)["figures"].get("epoch", 0) for name in ("r1", "r2", "r3", "x1")]
    newest = max(epochs())
    wait_until(lambda: min(epochs()) > newest, 30, f"all relays hold an epoch after {newest}")


def a_terminal_that_goes_ends_a_node_politely(net):
    for name in ("r2", "r3"):
        def is_tidy():
            assert not os.path.exists(os.path.join(net.folder, name, "control")), "its control socket stayed behind"
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(net.pids()[name], number)
        assert net.status(name)["ready"], "signals that mean nothing to it do nothing"
        net.kill_and_restart(name, signal.SIGHUP, is_tidy)
        with open(os.path.join(net.folder, name, "log")) as log:
            assert "tunic-relay stops" in log.read()
    wait_until(lambda: all(net.status(name).get("ready") for name in ("r2", "r3")), 20, "the relays are listed again")


def killed_nodes_come_back(net):
    for name in ("c1", "x1", "r1"):
        net.kill_and_restart(name)
    wait_until(lambda: net.status("c1").get("ready"), 20, "the client is ready again")
    wait_until(lambda: net.status("x1").get("ready") and net.status("r1").get("ready"), 20, "the relays are listed again")

    def works():
        try:
            bytes_come_down_as_they_are(net)
            return True
        except (Refused, OSError, EOFError):
            return False
    wait_until(works, 20, "traffic flows again")


def down_stops_what_up_started_and_nothing_else(net):
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            before = net.pids()
            # A record whose process is another one by now must not be believed.
            with open(os.path.join(net.folder, "pids"), "a") as pids:
                pids.write(f"r9 {other.pid}\n")
            os.mkdir(os.path.join(net.folder, "r9"))
            with open(os.path.join(net.folder, "r9", "started"), "w") as started:
                started.write(f"{other.pid} 12345 00000000-0000-0000-0000-000000000000\n")
            code, said = net.down()
            assert code == 0, said
            assert not any(is_running(pid) for pid in before.values())
            assert other.poll() is None and is_running(other.pid), "a stranger was stopped"
        finally:
            other.kill()
    assert not os.path.exists(os.path.join(net.folder, "pids"))
    assert net.down()[0] == 72
    code, said = run("tunic", "status", "--data", net.folder)
    assert code == 66 and f"tunic-network status {net.folder}" in said, (code, said)
    for process in net.restarted:  # these are the test's own
        assert process.poll() is None, "down stopped what up did not start"


ON_ONE_NETWORK = (
    bytes_come_down_as_they_are, bytes_go_up_as_they_are_and_a_half_close_is_one, many_streams_at_once_do_not_mix,
    a_name_is_looked_up_at_the_exit, failures_have_their_replies, status_tells_role_readiness_and_path, metrics_are_what_prometheus_reads,
    a_node_that_is_just_starting_is_waited_for, up_twice_leaves_the_first_alone, a_taken_port_is_named_and_nothing_is_left, two_processes_never_share_a_folder, a_folder_is_one_kind_of_node_s,
    garbage_at_every_port_disturbs_nobody, relays_keep_up_with_the_directory, a_terminal_that_goes_ends_a_node_politely, killed_nodes_come_back, down_stops_what_up_started_and_nothing_else,
)


# ---- without a network ----

def four_authorities_come_up_and_a_killed_up_leaves_all_to_down():
    net = Lab(authorities=4, relays=3, exits=1)
    up = subprocess.Popen([program("tunic-network"), "up", net.folder, "--authorities", "4", "--relays", "3", "--exits", "1",
                           "--port-base", str(net.base), "--socks", f"127.0.0.1:{net.socks}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(net.pids()) == 9, 10, "nine processes")
        up.kill()
        up.wait()
        started = net.pids()
        code, said = run("tunic-network", "wait", net.folder, "--timeout", 30)
        assert code == 0, said
        assert net.down()[0] == 0 and not any(is_running(pid) for pid in started.values())
    finally:
        up.kill()
        up.wait()
        net.clear()


def a_shape_without_a_path_is_refused_at_once_unless_nobody_waits_for_one():
    for relays, exits in ((1, 1), (0, 2), (3, 0)):
        net = Lab(authorities=1, relays=relays, exits=exits)
        try:
            code, said = net.up()
            assert code == 66 and f"--relays {relays} --exits {exits}" in said and "--clients 0" in said and not os.listdir(net.folder), (code, said)
        finally:
            net.clear()
    net = Lab(authorities=1, relays=1, exits=1)
    try:
        assert net.up("--no-wait")[0] == 0
        code, said = run("tunic-network", "wait", net.folder, "--timeout", 2)
        assert code == 56 and "not-enough-relays" in said, (code, said)
    finally:
        net.clear()
    net = Lab(authorities=1, relays=0, exits=0, clients=0)
    try:
        code, said = net.up()
        assert code == 0 and list(net.pids()) == ["a1"], (code, said)
    finally:
        net.clear()


def an_interrupted_up_stops_what_it_started():
    net = Lab(authorities=1, relays=2, exits=1)
    prefix = os.path.join(net.folder, "prefix")
    with open(prefix, "w") as script:  # an authority that never comes: it would wait for long
        script.write('#!/bin/sh\n[ "$1" != a1 ] || exec sleep 60\nshift\nexec "$@"\n')
    os.chmod(prefix, 0o700)
    up = subprocess.Popen([program("tunic-network"), "up", net.folder, "--authorities", "1", "--relays", "2", "--exits", "1",
                           "--port-base", str(net.base), "--socks", f"127.0.0.1:{net.socks}", "--exec", f"{prefix} {{name}}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(net.pids()) == 5, 10, "five processes")
        started = net.pids()
        wait_until(lambda: "role" in net.status("c1"), 10, "the client answers")
        up.terminate()
        said = up.communicate(timeout=10)[1].decode()
        assert up.returncode == 40 and "interrupted" in said and "can't be read" not in said, (up.returncode, said)
        assert "5 processes" in said and f"tunic-network up {net.folder}" in said and "come back" not in said, said
        assert not any(is_running(pid) for pid in started.values())
    finally:
        up.kill()
        up.wait()
        up.stderr.close()
        net.clear()


ALONE = (a_shape_without_a_path_is_refused_at_once_unless_nobody_waits_for_one, an_interrupted_up_stops_what_it_started,
         four_authorities_come_up_and_a_killed_up_leaves_all_to_down)


class Tally:
    def __init__(self, wanted):
        self.wanted, self.passed, self.failed = wanted, 0, 0

    def run(self, test, *arguments):
        if self.wanted and test.__name__ not in self.wanted:
            return
        started = time.monotonic()
        try:
            test(*arguments)
            self.passed += 1
            print(f"ok    {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            self.failed += 1
            print(f"FAIL  {test.__name__}\n{traceback.format_exc()}", flush=True)


def main():
    print(f"TUNIC_SEED={SEED}")
    tally = Tally(sys.argv[1:])
    for test in ALONE:
        tally.run(test)
    started = time.monotonic()
    try:
        with Lab() as net:
            print(f"      a network in {time.monotonic() - started:.1f} s")
            for test in ON_ONE_NETWORK:
                tally.run(test, net)
            if tally.failed:
                net.show_logs()
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        print(f"FAIL  {failure}")
        tally.failed += 1
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
