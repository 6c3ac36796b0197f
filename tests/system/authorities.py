#!/usr/bin/env -S python3 -B
"""Four authorities as processes: one killed, one stopped, all stopped, one that lies; and a relay run by hand. Epochs and
transfers go on, and nobody ever holds two consensuses of one epoch. The last line is `N passed, M failed`."""
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

import lab
from lab import Lab, is_running, program, run
from network_test import Tally, WebServer, fetch, wait_until

AUTHORITIES = ("a1", "a2", "a3", "a4")
KILOBYTES = 300 * 1000


class QuickLab(Lab):
    """A network with epochs of 1.5 s."""

    def __init__(self, **numbers):
        super().__init__(**numbers)
        self.own_pids = {}

    def up(self, *more):
        for command in (("tunic-network", "init", self.folder, "--authorities", 4, "--port-base", self.base),
                        ("tests/quick-network", self.folder)):
            code, said = run(*command)
            if code != 0:
                return code, said
        return super().up(*more)

    def start(self, name, command):
        """A process of the test's own, which ends with the lab."""
        os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        with open(os.path.join(self.folder, name, "log"), "ab") as log:
            self.restarted.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        self.own_pids[name] = self.restarted[-1].pid
        return self.restarted[-1]

    def pid(self, name):
        return self.own_pids.get(name) or self.pids()[name]

    def command(self, name):
        with open(f"/proc/{self.pid(name)}/cmdline", "rb") as opened:
            return [word.decode() for word in opened.read().split(b"\0")[:-1]]

    def signal(self, names, how):
        for name in names:
            os.kill(self.pid(name), how)

    def figure(self, name, figure):
        return self.status(name).get("figures", {}).get(figure, 0)

    def epoch(self, name):
        return self.figure(name, "epoch")

    def consensus(self, name):
        with open(os.path.join(self.folder, name, "consensus"), errors="replace") as opened:
            return opened.read()


class Witness:
    """Reads all the authorities' consensuses all the time; remembers what was signed for each epoch."""

    def __init__(self, net):
        self.net, self.epochs, self.over = net, {}, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def watch(self):
        while not self.over.wait(0.1):
            for name in AUTHORITIES:
                try:
                    text = self.net.consensus(name)
                except OSError:
                    continue
                epoch = int(re.search(r"^epoch (\d+)$", text, re.M).group(1))
                self.epochs.setdefault(epoch, {}).setdefault(text.split("\nsignature ")[0], set()).add(name)

    def check(self, least):
        twice = {epoch: texts.values() for epoch, texts in self.epochs.items() if len(texts) > 1}
        assert not twice, f"two consensuses of one epoch: {twice}"
        assert len(self.epochs) >= least, f"only {len(self.epochs)} epochs were seen"
        # What one authority alone holds would prove little.
        assert sum(len(names) > 1 for texts in self.epochs.values() for names in texts.values()) >= least


def epochs_go_on(net, names, count=2, seconds=12):
    """Each of them decides `count` more."""
    goals = {name: net.epoch(name) + count for name in names}
    wait_until(lambda: all(net.epoch(name) >= goal for name, goal in goals.items()), seconds, f"{count} more epochs at {names}")


def catches_up(net, name, others):
    goal = max(net.epoch(other) for other in others) + 1
    wait_until(lambda: net.epoch(name) >= goal, 12, f"{name} is back at epoch {goal}")


def bytes_pass(net):
    with WebServer() as web:
        assert fetch(web.port, KILOBYTES, net.socks) == fetch(web.port, KILOBYTES)


def one_that_is_killed_is_not_missed_and_comes_back(net):
    command = net.command("a1")
    pid = net.pid("a1")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid), 5, "a1 is gone")
    epochs_go_on(net, ("a2", "a3", "a4"))
    bytes_pass(net)
    net.start("a1", command)
    catches_up(net, "a1", ("a2", "a3", "a4"))


def one_that_stands_still_is_not_missed_and_goes_on(net):
    net.signal(("a2",), signal.SIGSTOP)
    try:
        epochs_go_on(net, ("a3", "a4"))
        bytes_pass(net)
    finally:
        net.signal(("a2",), signal.SIGCONT)
    catches_up(net, "a2", ("a3", "a4"))


def with_all_standing_still_traffic_goes_on_and_voting_resumes(net):
    net.signal(AUTHORITIES, signal.SIGSTOP)
    try:
        before = net.consensus("a3")
        end = time.monotonic() + 4  # more than two epochs
        while time.monotonic() < end:
            bytes_pass(net)
            time.sleep(0.2)
        assert net.consensus("a3") == before
    finally:
        net.signal(AUTHORITIES, signal.SIGCONT)
    epochs_go_on(net, AUTHORITIES, seconds=15)
    bytes_pass(net)


def a_relay_run_by_hand_joins_carries_and_leaves(net):
    place = lab.free_ports(1)
    folder = os.path.join(net.folder, "hand")
    process = net.start("hand", [program("tunic-relay"), "--network", os.path.join(net.folder, "network"), "--data", folder,
                                 "--address", "127.0.0.1", "--port", str(place), "--nickname", "hand",
                                 "--exit-policy", "accept private:*, accept *:*"])
    wait_until(lambda: net.status("hand").get("ready"), 12, "the relay is listed")
    for key in ("identity", "link", "signing"):
        assert os.stat(os.path.join(folder, f"secret-{key}")).st_mode & 0o777 == 0o600
    assert "\nrelay hand " in net.consensus("a3")
    with WebServer() as web:
        def carries():
            # Each user name has a path of its own.
            carries.count += 1
            connection = lab.connect(net.socks, "127.0.0.1", web.port, ("user", str(carries.count)))
            with connection:
                connection.sendall(b"GET /1000 HTTP/1.1\r\nConnection: close\r\n\r\n")
                while connection.recv(65536):
                    pass
            return net.figure("hand", "streams_begun") > 0
        carries.count = 0
        wait_until(carries, 15, "a stream leaves at the new exit")
    process.terminate()
    assert process.wait(5) == 0
    wait_until(lambda: "\nrelay hand " not in net.consensus("a3"), 15, "the relay is no longer listed")
    bytes_pass(net)


def one_that_lies_is_found_out_and_changes_nothing(net):
    honest = ("a1", "a2", "a3")
    command = net.command("a4")
    pid = net.pid("a4")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(pid), 5, "a4 is gone")
    with Witness(net) as witness:
        liar = net.start("a4", [program("tests/lying-directory"), *command[1:]])
        wait_until(lambda: all(net.figure(name, "accused") == 1 << 3 for name in honest), 15, "the liar is accused")
        epochs_go_on(net, honest, count=3, seconds=15)
        assert liar.poll() is None
    for name in honest:
        with open(os.path.join(net.folder, name, "evidence"), "rb") as evidence:
            assert evidence.read(1) == b"\x09", "not a proof of fault"
        assert net.status(name)["cause"]["name"] == "ok", net.status(name)
    assert net.status("c1")["ready"]
    witness.check(least=3)
    bytes_pass(net)


TESTS = (one_that_is_killed_is_not_missed_and_comes_back, one_that_stands_still_is_not_missed_and_goes_on,
         with_all_standing_still_traffic_goes_on_and_voting_resumes, a_relay_run_by_hand_joins_carries_and_leaves,
         one_that_lies_is_found_out_and_changes_nothing)


def main():
    tally = Tally(sys.argv[1:])
    try:
        with QuickLab(authorities=4) as net:
            for test in TESTS:
                tally.run(test, net)
            if tally.failed:
                net.show_logs()
    except RuntimeError as failure:
        print(f"FAIL  {failure}")
        tally.failed += 1
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
