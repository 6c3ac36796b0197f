#!/usr/bin/env -S python3 -B
"""What the programs refuse before anything runs, and how they say it: wishes that can't be, files that can't be used.
The last line is `N passed, M failed`."""
import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

import lab
from lab import run
from network_test import Tally


def init_never_overwrites():
    folder = tempfile.mkdtemp(prefix="tunic-test-")
    try:
        code, said = run("tunic-network", "init", folder, "--name", "test.net", "--production",
                         "--authority", "north=192.0.2.1:443,south=directory.example.org:443")
        assert code == 0, said
        with open(os.path.join(folder, "network")) as opened:
            text = opened.read()
        assert "name test.net\n" in text and "\nlab no\n" in text and text.count("\nsignature ") == 2
        assert os.stat(os.path.join(folder, "north", "secret-identity")).st_mode & 0o777 == 0o600
        code, said = run("tunic-network", "init", folder)
        assert code == 66 and "never overwritten" in said, (code, said)
        with open(os.path.join(folder, "network")) as opened:
            assert opened.read() == text
        other = os.path.join(folder, "other")
        for wrong in (("--authority", "a/b=192.0.2.1:443"), ("--authority", "a=192.0.2.1:443,a=192.0.2.1:444"), ("--name", "two words")):
            code, said = run("tunic-network", "init", other, *wrong)
            assert code == 66 and not os.path.exists(other), (code, said)
        for option, value in (("--authorities", 7), ("--port-base", 9000), ("--addresses", "/nonexistent")):
            code, said = run("tunic-network", "init", other, "--authority", "a=192.0.2.1:443", option, value)
            assert code == 66 and option in said and not os.path.exists(other), (code, said)
    finally:
        shutil.rmtree(folder)


def every_program_explains_itself():
    for name in ("tunic", "tunic-relay", "tunic-directory", "tunic-network"):
        code, said = run(name, "--help")
        assert code == 0 and "--" in said, (name, code, said)
        code, said = run(name, "--no-such-option")
        assert code == 66 and "no-such-option" in said, (name, code, said)
        assert run(name, "--version")[0] == 0
    for outcome in ("name-not-found", "connection-refused", "port-taken"):
        code, said = run("tunic", "explain", outcome)
        assert code == 0 and outcome in said and "SOCKS" in said, said
    assert run("tunic", "explain", "no-such-cause")[0] == 64
    code, said = run("tunic", "explain")
    assert code == 0 and "clock-wrong" in said
    code, said = run("tunic-network", "down", "/nonexistent/folder")
    assert code == 64, (code, said)


def places_where_a_relay_cannot_be_are_named():
    folder = tempfile.mkdtemp(prefix="tunic-test-")
    try:
        def relay(*place):
            return run("tunic-relay", "--network", os.path.join(folder, "net", "network"), "--data", os.path.join(folder, "r"), "--port", "9001", *place)
        assert run("tunic-network", "init", os.path.join(folder, "net"), "--production", "--authority", "north=192.0.2.1:443")[0] == 0
        code, said = relay("--address", "0.0.0.0")
        assert code == 66 and "no address that others can reach; give --address A.B.C.D and --listen 0.0.0.0" in said, said
        code, said = relay("--address", "::")
        assert code == 66 and "--listen ::" in said, said
        code, said = relay("--address", "10.1.2.3")
        assert code == 66 and "10.1.2.3 with --listen" in said, said
        code, said = relay("--address", "20.1.2.3", "--listen", "192.0.2.77")
        assert code != 0 and "192.0.2.77:9001" in said and "--listen" in said, said
        code, said = relay("--address", "20.1.2.3", "--listen", "nonsense")
        assert code == 66 and "nonsense" in said, said
    finally:
        shutil.rmtree(folder)


def wishes_that_cannot_be_are_refused_before_anything_starts():
    folder = tempfile.mkdtemp(prefix="tunic-test-")
    try:
        net = os.path.join(folder, "net")
        assert run("tunic-network", "init", net)[0] == 0
        network = os.path.join(net, "network")
        for socks in ("127.0.0.1", "127.0.0.1:0"):
            code, said = run("tunic-network", "up", net, "--socks", socks)
            assert code == 66 and f'"{socks}"' in said and "port" in said, (code, said)
            code, said = run("tunic", "run", "--network", network, "--data", os.path.join(folder, "c"), "--socks", socks, timeout=20)
            assert code == 66 and f'"{socks}"' in said, (code, said)
        for option, value in (("--aead", "rot13"), ("--shards", "0"), ("--production", None), ("--name", "other")):
            code, said = run("tunic-network", "up", net, option, *[value] * (value is not None))
            assert code == 66 and option in said and "last words" not in said, (code, said)
        code, said = run("tunic-network", "init", os.path.join(folder, "long"), "--name", "x" * 64)
        assert code == 66 and "63" in said and not os.path.exists(os.path.join(folder, "long", "network")), (code, said)
        for option, value in (("--days", 5), ("--exit-policy", ""), ("--exit-policy", "accept *:80,"), ("--exit-policy", " ")):
            code, said = run("tunic-relay", "--network", network, "--data", os.path.join(folder, "r"), "--address", "127.0.0.1", "--port", 9001, option, value, timeout=20)
            assert code == 66 and option in said and not os.path.exists(os.path.join(folder, "r")), (code, said)
        code, said = run("tunic-relay", "--network", network, "--data", os.path.join(net, "a1"), "--address", "127.0.0.1", "--port", 9001, timeout=20)
        assert code == 66 and "authority a1" in said, (code, said)
        code, said = run("tunic", "run", "--network", net, "--data", os.path.join(folder, "c"), timeout=20)
        assert code == 67 and "directory" in said, (code, said)
        assert not os.path.exists(os.path.join(net, "pids"))
        for command in ("status", "wait"):
            code, said = run("tunic", command, "--data", net)
            assert code == 66 and f"tunic-network status {net}" in said, (code, said)
        for prefix, expected, words in (("/nonexistent/program", 64, "/nonexistent/program"), (network, 70, "Permission denied"), ("false", 70, "did not start it")):
            code, said = run("tunic-network", "up", net, "--port-base", lab.free_ports(12), "--socks", f"127.0.0.1:{lab.free_ports(1)}", "--exec", prefix)
            assert code == expected and words in said and "--exec" in said and "disk" not in said, (code, said)
    finally:
        shutil.rmtree(folder)


def advice_on_a_file_of_one_s_own_is_for_that():
    """Nobody has fetched it, so that no other source is tried."""
    folder = tempfile.mkdtemp(prefix="tunic-test-")

    def at(*names):
        return os.path.join(folder, *names)

    def write(name, data):
        with open(at(name), "wb") as opened:
            opened.write(data)
        os.chmod(at(name), 0o600)

    def refuse(code, words, *command):
        got, said = run(*command, timeout=20)
        assert got == code and words in said and "another source" not in said and "Ask who made it" not in said, (command, got, said)

    try:
        assert run("tunic-network", "init", at("net"))[0] == 0
        with open(at("net", "network"), "rb") as opened:
            whole = opened.read()
        files = {"edited": (whole.replace(b"\nname tunic\n", b"\nname tunix\n"), 62), "cut": (whole[:700], 60), "empty": (b"", 60), "binary": (bytes(300000), 63),
                 "unsigned": (whole[:whole.index(b"\nsignature") + 1], 52)}
        os.mkdir(at("up"))
        for name, (data, code) in files.items():
            for path in (name, "up/network"):
                write(path, data)
            for program_with in (("tunic", "run", "--data", at("c")), ("tunic-directory", "--data", at("net", "a1")),
                                 ("tunic-relay", "--data", at("r"), "--address", "127.0.0.1", "--port", 9001), ("tunic-relay", "--data", at("r"), "--new-signing-key"),
                                 ("tunic-network", "authority", "renew", "--out", at("out"), "--at-epoch", 9)):
                refuse(code, at(name), *program_with, "--network", at(name))
            refuse(code, at("up", "network"), "tunic-network", "up", at("up"))
        refuse(52, "authority sign", "tunic-network", "authority", "show", at("unsigned"))
        os.mkdir(at("c2"))
        write("c2/state", b"not a state")
        refuse(60, "guard is chosen", "tunic", "run", "--data", at("c2"), "--network", at("net", "network"), "--socks", f"127.0.0.1:{lab.free_ports(1)}")
        for name in ("secret-link", "onion-keys"):
            os.makedirs(at(name, "r"))
            write(f"{name}/r/{name}", b"not a key")
            refuse(60, name, "tunic-relay", "--data", at(name, "r"), "--network", at("net", "network"), "--address", "127.0.0.1", "--port", lab.free_ports(1))
    finally:
        shutil.rmtree(folder)


TESTS = (init_never_overwrites, every_program_explains_itself, places_where_a_relay_cannot_be_are_named,
         wishes_that_cannot_be_are_refused_before_anything_starts, advice_on_a_file_of_one_s_own_is_for_that)


def main():
    tally = Tally(sys.argv[1:])
    for test in TESTS:
        tally.run(test)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
