#!/usr/bin/env -S python3 -B
"""The load generator: what a network does for its user, and what that costs. The same work for every system.

usage: load.py --url http://HOST:PORT [--socks HOST:PORT] [--pids FILE] [--exec 'PREFIX ...'] [--seconds N] [--streams K]

--url names a running web_server (GET /N answers N bytes, POST how many came); --socks the proxy, without it there is none. FILE has a line
`NAME PID` for each process whose processor time and memory are counted. PREFIX is put before curl, for example to
enter a network namespace. Prints `name value` lines, the unit in the name's last word.
"""
import argparse
import collections
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ENDLESS_BYTES = 10**12
CURL_TOO_SLOW = 28  # what curl ends with when --max-time is over
PATIENCE_S = 60
UPLOAD_PATIENCE_S = 300
SIZES = (("50KB", 50 * 1024), ("1MB", 1 << 20), ("5MB", 5 << 20))

Transfer = collections.namedtuple("Transfer", "first_byte_s total_s bytes")


class LoadError(Exception):
    """A request failed: no figure can be given."""


class Load:
    """Requests through one proxy. Requests of one `user` may share a circuit, those of two may not."""

    def __init__(self, url, socks=None, prefix=()):
        self.url = url
        self.socks = socks
        self.prefix = list(prefix)
        self.name = os.urandom(6).hex()  # of this one's users: a later one's are others, on circuits of their own
        self.fresh_users = 0

    def start(self, size, user=None, seconds=None, output="/dev/null"):
        command = self.prefix + ["curl", "-q", "-s", "-S", "-o", output, "--max-time", str(seconds or PATIENCE_S),
                                 "-w", "%{time_starttransfer} %{time_total} %{size_download}"]
        if self.socks:
            command += ["--socks5-hostname", self.socks]
        if self.socks and user:
            command += ["--proxy-user", f"{user}:x"]
        return subprocess.Popen(command + [f"{self.url}/{size}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def finish(self, process, size, is_timed=False):
        try:
            out, complaint = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
        allowed = (CURL_TOO_SLOW,) if is_timed else (0,)
        if process.returncode not in allowed:
            raise LoadError(f"curl ended with {process.returncode}: {complaint.strip()}")
        transfer = Transfer(*map(float, out.split()))
        if not is_timed and transfer.bytes != size:
            raise LoadError(f"{transfer.bytes:.0f} bytes came, {size} were asked for")
        return transfer

    def fetch(self, size, user=None):
        return self.finish(self.start(size, user), size)

    def send(self, size):
        """Seconds from connecting to the proxy until the server has answered that this many bytes came."""
        with tempfile.NamedTemporaryFile() as zeros:
            zeros.truncate(size)
            command = self.prefix + ["curl", "-q", "-s", "-S", "--max-time", str(UPLOAD_PATIENCE_S), "-w", " %{time_total}",
                                     "-X", "POST", "-H", "Expect:", "-T", zeros.name]
            command += ["--socks5-hostname", self.socks] if self.socks else []
            arrived, seconds = run(command + [f"{self.url}/"]).split()
        if int(arrived) != size:
            raise LoadError(f"{arrived} bytes arrived, {size} were sent")
        return float(seconds)

    def fresh_user(self):
        self.fresh_users += 1
        return f"{self.name}x{self.fresh_users}"

    def first_byte_s(self, user=None):
        return self.fetch(100, user).first_byte_s

    def early_first_byte_s(self):
        """From connecting to the proxy to the first byte, for a program that sends its request without waiting for an answer."""
        return float(run([*self.prefix, sys.executable, "-B", os.path.abspath(__file__), "--early", self.url, self.socks]))

    def use_circuits(self, count):
        """So many new isolations, one after the other: circuits are built while nothing else goes on."""
        for _ in range(count):
            self.first_byte_s(self.fresh_user())
            time.sleep(0.05)

    def bulk(self, count, seconds):
        """`count` endless downloads for so many seconds, each on a circuit of its own."""
        started = [self.start(ENDLESS_BYTES, f"stream{i}", seconds) for i in range(count)]
        try:
            transfers = [self.finish(process, ENDLESS_BYTES, is_timed=True) for process in started]
        finally:
            stop_all(started)
        if not all(transfer.bytes for transfer in transfers):
            raise LoadError("a stream brought nothing")
        return transfers

    def seconds_MBps(self, seconds):
        """What one endless download brings in each second, from its first byte on."""
        process = self.start(ENDLESS_BYTES, "stream0", seconds + PATIENCE_S, output="-")
        counts, begun = [], None
        try:
            while begun is None or time.monotonic() < begun + seconds:
                part = len(os.read(process.stdout.fileno(), 1 << 20))
                if part == 0:
                    raise LoadError("the download ended by itself")
                begun = begun or time.monotonic()
                second = int(time.monotonic() - begun)
                counts += [0] * (second + 1 - len(counts))
                counts[second] += part
        finally:
            process.kill()
            process.stdout.close()  # what it still holds is no text
            process.stderr.close()
            process.wait()
        return [count / 1e6 for count in counts[:int(seconds)]]

    def small_beside_bulk_s(self, size, count, bulk_user=None, small_user=None):
        """How long small requests take while a download runs."""
        bulk = self.start(ENDLESS_BYTES, bulk_user, PATIENCE_S)
        try:
            time.sleep(1.5)  # the download is at full speed by then
            times = [self.fetch(size, small_user).total_s for _ in range(count)]
            if bulk.poll() is not None:
                raise LoadError("the download ended before the small requests did")
            return times
        finally:
            stop_all([bulk])


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise LoadError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{command[0]} ended with {done.returncode}")
    return done.stdout


def early_first_byte_s(url, socks):
    """Greeting, SOCKS request and HTTP request in one piece; answers: 2 bytes, 10 bytes, then the server's first."""
    host, port = url.split("//")[1].split(":")
    proxy_host, proxy_port = socks.split(":")
    asked = b"\5\1\0" + b"\5\1\0\1" + socket.inet_aton(host) + int(port).to_bytes(2, "big")
    begun = time.monotonic()
    with socket.create_connection((proxy_host, int(proxy_port)), timeout=PATIENCE_S) as connection:
        connection.sendall(asked + f"GET /100 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < 13:
            part = connection.recv(4096)
            if not part or (len(answer + part) >= 4 and (answer + part)[3] != 0):
                raise LoadError("the proxy refused a request that came early")
            answer += part
    return time.monotonic() - begun


def stop_all(processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def rate_mbps(transfer):
    """Megabytes a second from the first byte on."""
    return transfer.bytes / 1e6 / (transfer.total_s - transfer.first_byte_s)


def jain(values):
    """Jain's index of fairness: 1 when all got the same, 1/n when one got everything."""
    values = list(values)
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def processor_s(pids):
    """Processor seconds of processes with all their threads, those that ended included."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as opened:
            fields = opened.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


def machine_busy_s():
    """Processor seconds of everything on this machine, and those that a hypervisor gave to others."""
    with open("/proc/stat") as opened:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, opened.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as opened:
        for line in opened:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise LoadError(f"process {pid} has no memory")


def measure(load, pids, seconds=4, streams=8, repeats=5):
    """One round of every figure: a dictionary of name and value. Medians where a figure is repeated."""
    def median(call, times=repeats):
        return statistics.median(call() for _ in range(times))

    figures = {}
    load.fetch(1000)
    figures["ttfb_same_circuit_ms"] = 1e3 * median(load.first_byte_s, 3 * repeats)
    figures["ttfb_fresh_isolation_ms"] = 1e3 * median(lambda: load.first_byte_s(load.fresh_user()))
    for name, size in SIZES:
        figures[f"transfer_{name}_ms"] = 1e3 * median(lambda: load.fetch(size).total_s)
    for name, count in (("one_stream", 1), (f"{streams}_streams", streams)):
        before = processor_s(pids)
        transfers = load.bulk(count, seconds)
        spent = processor_s(pids) - before
        figures[f"{name}_MBps"] = sum(map(rate_mbps, transfers))
        if pids:
            figures[f"{name}_cpu_per_GB_s"] = spent / (sum(transfer.bytes for transfer in transfers) / 1e9)
    figures[f"{streams}_streams_fairness_jain"] = jain(transfer.bytes for transfer in transfers)
    return figures


def read_pids(path):
    with open(path) as opened:
        return {line.split()[0]: int(line.split()[1]) for line in opened if line.strip()}


def main():
    if sys.argv[1:2] == ["--early"]:
        print(early_first_byte_s(*sys.argv[2:4]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--socks")
    parser.add_argument("--pids")
    parser.add_argument("--exec", default="", dest="prefix")
    parser.add_argument("--seconds", type=float, default=4, help="for each bulk download")
    parser.add_argument("--streams", type=int, default=8)
    arguments = parser.parse_args()
    pids = read_pids(arguments.pids) if arguments.pids else {}
    load = Load(arguments.url, arguments.socks, shlex.split(arguments.prefix))
    try:
        figures = measure(load, pids.values(), arguments.seconds, arguments.streams)
    except LoadError as error:
        print(f"No figures: {error}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(f"{name} {value:.4g}")
    for name, pid in pids.items():
        print(f"resident_{name}_MB {resident_mb(pid):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
