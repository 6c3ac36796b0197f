#!/usr/bin/env -S python3 -B
"""A network that runs gets one more authority, at a name instead of an address, while transfers go on; a client that was away
follows although no authority answers. The last line is `N passed, M failed`."""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from lab import Lab, free_ports, program, run
from network_test import Server, Echoer, wait_until, connect, receive_exactly


def said(code_and_text):
    code, text = code_and_text
    assert code == 0, text
    return text


def authority(*words):
    return run("tunic-network", "authority", *words)


def figure(net, node, name):
    return net.status(node).get("figures", {}).get(name)


def echo(net, port, socks=None):
    with connect(socks or net.socks, "127.0.0.1", port) as connection:
        connection.sendall(b"x" * 5000)
        assert receive_exactly(connection, 5000) == b"x" * 5000


def make_next(net, folder, port, epoch):
    """The next serial, with a5, signed by everybody."""
    new = os.path.join(net.folder, "new")
    keys = said(authority("keys", folder)).split()
    said(authority("add", f"a5=localhost:{port}", "--network", net.folder, "--out", new, "--at-epoch", epoch, *keys))
    code, text = authority("install", "--network", new, "--data", os.path.join(net.folder, "a1"))
    assert code != 0 and figure(net, "a1", "newest_serial") == 1, f"nobody signed it: {text}"
    for name in ("a1", "a2", "a3", "a5"):
        said(authority("sign", "--network", new, "--data", os.path.join(net.folder, name)))
    other = os.path.join(net.folder, "other")
    said(authority("renew", "--network", net.folder, "--out", other, "--at-epoch", epoch + 1))
    code, text = authority("sign", "--network", other, "--data", os.path.join(net.folder, "a1"))
    assert code != 0 and "signed-2" in text, f"a1 signs two files of one serial: {text}"
    code, text = authority("show", new, "--previous", os.path.join(net.folder, "network"))
    assert code == 0 and "a4                   missing" in text, text
    return new


def start(net, name, *words):
    """A node that `up` does not know; it ends with the lab."""
    with open(os.path.join(net.folder, f"{name}.log"), "wb") as log:
        net.restarted.append(subprocess.Popen([program(words[0]), *map(str, words[1:])], stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def start_relay(net, name, port):
    """A relay that comes opens the next epoch early: nobody waits for the interval's end."""
    start(net, name, "tunic-relay", "--network", os.path.join(net.folder, "network"), "--data", os.path.join(net.folder, name),
          "--nickname", name, "--address", "127.0.0.1", "--port", port)


def keep_for_later(net):
    """What a client that goes away now has on disk."""
    later = os.path.join(net.folder, "c2")
    os.mkdir(later, 0o700)
    shutil.copy(os.path.join(net.folder, "c1", "consensus"), later)


def signal_authorities(net, number):
    for name, pid in net.pids().items():
        if name.startswith("a"):
            os.kill(pid, number)
    net.restarted[0].send_signal(number)  # a5, which `up` does not know


def expect_moved_by_mirrors(net, server_port, socks_port, epoch):
    """[NET-13] Every authority stands still: what the client that was away learns, it learns from relays."""
    wait_until(lambda: all(figure(net, name, "epoch") >= epoch for name in ("r1", "r2", "r3", "x1")), 15, "relays hold what five decided")
    signal_authorities(net, signal.SIGSTOP)
    try:
        start(net, "c2", "tunic", "run", "--network", os.path.join(net.folder, "network"), "--data", os.path.join(net.folder, "c2"),
              "--socks", f"127.0.0.1:{socks_port}")
        wait_until(lambda: figure(net, "c2", "newest_serial") == 2, 20, "the client moves over")
        wait_until(lambda: net.status("c2").get("ready"), 20, "it is ready")
        assert figure(net, "c2", "fetches_from_guard") >= 1, net.status("c2")
        assert figure(net, "c2", "fetches_from_authorities") == 0, net.status("c2")
        echo(net, server_port, socks_port)
    finally:
        signal_authorities(net, signal.SIGCONT)


def test_an_authority_is_added(net):
    folder, port = os.path.join(net.folder, "a5"), free_ports(4)
    with Server(Echoer) as server:
        echo(net, server.port)
        keep_for_later(net)
        epoch = figure(net, "a1", "epoch")
        new = make_next(net, folder, port, epoch + 2)
        said(authority("install", "--network", new, "--data", os.path.join(net.folder, "a1")))
        start(net, "a5", "tunic-directory", "--network", new, "--data", folder, "--address", "127.0.0.1")
        start_relay(net, "r8", port + 1)
        wait_until(lambda: figure(net, "a1", "epoch") > epoch, 12, "the epoch before")
        wait_until(lambda: all(figure(net, name, "newest_serial") == 2 for name in ("a2", "a3", "a4", "r1")), 12, "the file is handed on")
        start_relay(net, "r9", port + 2)
        wait_until(lambda: all(figure(net, name, "epoch") >= epoch + 2 for name in ("a1", "a2", "a3", "a4", "a5")), 12, "five decide")
        assert all(figure(net, name, "serial") == 2 for name in ("a1", "a2", "a3", "a4", "a5"))
        wait_until(lambda: figure(net, "r1", "authorities_that_took_the_descriptor") == 5, 12, "a5 is found by its name")
        echo(net, server.port)
        expect_moved_by_mirrors(net, server.port, port + 3, epoch + 2)


def main():
    started = time.monotonic()
    try:
        with Lab(authorities=4) as net:
            test_an_authority_is_added(net)
    except Exception as failure:
        print(f"FAIL  {failure!r}")
        print("0 passed, 1 failed")
        return 1
    print(f"ok    test_an_authority_is_added ({time.monotonic() - started:.1f} s)\n1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
