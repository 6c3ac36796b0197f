#!/usr/bin/env -S python3 -B
"""Runs the test programs: two side by side, then those that want the machine for themselves, one after another.

A passing program is one line, a failing one is printed whole. The last line is `N passed, N failed`, counting
test cases where a program tells them. `make test` calls this; see the Makefile for what is registered.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

CRITERION = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: \d+ \| Crashing: \d+")
CLOSING = re.compile(r"(\d+) passed, (\d+) failed")
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Run:
    """The programs under way, the time they have, and the sums."""

    def __init__(self, limit_s, deadline_s):
        self.limit_s = limit_s
        self.ends = time.monotonic() + deadline_s
        self.lock = threading.RLock()  # a signal may come while the main thread holds it
        self.groups = set()
        self.passed = self.failed = 0

    def report(self, label, passed, failed, seconds, output):
        with self.lock:
            self.passed += passed
            self.failed += failed
            if failed:
                print(f"---- {label}\n{output.rstrip()}")
            word = "FAIL" if failed else "ok  "
            print(f"{word}  {label:<44} {passed + failed:>6} {'test ' if passed + failed == 1 else 'tests'}"
                  f" {seconds:>7.1f} s", flush=True)

    def one(self, path, is_script):
        """Runs a program and reports it. Whatever it started is gone afterwards."""
        label = os.path.relpath(path)
        started = time.monotonic()
        allowed = min(self.limit_s, self.ends - started)
        if allowed <= 0:
            self.report(label, 0, 1, 0, "Not run: the time for all tests was over.")
            return
        with tempfile.TemporaryDirectory() as logs:
            output, code = self.execute(path, allowed, logs)
            # Criterion 2.4.1 ends with 0 although AddressSanitizer found a leak: the log is the only witness.
            sanitizer = "".join(read(log) for log in sorted(glob.glob(f"{logs}/*")))
        passed, failed, why = judge(COLOURS.sub("", output), code, sanitizer, is_script)
        self.report(label, passed, failed, time.monotonic() - started, f"{output}{sanitizer}\n{why}")

    def execute(self, path, allowed_s, logs):
        """Output and exit code; None if it had to be killed."""
        options = [os.environ.get("ASAN_OPTIONS", ""), f"log_path={logs}/sanitizer"]
        environment = {**os.environ, "ASAN_OPTIONS": ":".join(filter(None, options)),
                       "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "print_stacktrace=1")}
        with tempfile.TemporaryFile() as output:
            # A file, not a pipe: a grandchild that outlives the program must not keep the runner waiting.
            try:
                child = subprocess.Popen([os.path.abspath(path)], stdin=subprocess.DEVNULL, stdout=output,
                                         stderr=subprocess.STDOUT, env=environment, start_new_session=True)
            except OSError as error:
                return f"Cannot be started: {error.strerror}", 127
            with self.lock:
                self.groups.add(child.pid)
            try:
                code = child.wait(allowed_s)
            except subprocess.TimeoutExpired:
                code = None
            self.end_group(child.pid)
            child.wait()
            output.seek(0)
            return output.read().decode(errors="replace"), code

    def end_group(self, group):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
        with self.lock:
            self.groups.discard(group)

    def interrupt(self, *_):
        """What runs is killed and counts as failed, what has not begun will not."""
        self.ends = 0
        for group in list(self.groups):
            self.end_group(group)


def read(path):
    with open(path, errors="replace") as opened:
        return opened.read()


def judge(output, code, sanitizer, is_script):
    """Passed and failed test cases, and a sentence for a failure the output does not show."""
    lines = output.strip().splitlines()
    closing = CLOSING.fullmatch(lines[-1].strip()) if lines else None
    criterion = CRITERION.search(output)
    if criterion:
        passed = int(criterion[2])
        failed = int(criterion[1]) - passed
    elif closing:
        passed, failed = int(closing[1]), int(closing[2])
    elif is_script:
        passed, failed = (1, 0) if code == 0 else (0, 1)
    else:
        passed, failed = 0, 0
    if code is None:
        return passed, max(failed, 1), "Killed: it took too long."
    if sanitizer:
        return passed, max(failed, 1), "The sanitizer's log above is not empty."
    if code != 0:
        return passed, max(failed, 1), f"It ended with {code}."
    if passed + failed == 0:
        return 0, 1, "It ran no test."
    return passed, failed, ""


def build(targets):
    """Each word is one call of make, so that the sanitized build has its own settings."""
    for target in targets:
        started = time.monotonic()
        done = subprocess.run(["make", "--no-print-directory", *target.split()], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            print(f"{done.stdout.rstrip()}\nCould not build: make {target}")
            return False
        print(f"built {target:<56} {time.monotonic() - started:>7.1f} s", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", nargs="*", default=[], help="arguments for make, one call each")
    parser.add_argument("--programs", nargs="*", default=[], help="side by side; each says how many tests it ran")
    parser.add_argument("--checks", nargs="*", default=[], help="scripts that run side by side with the programs")
    parser.add_argument("--scripts", nargs="*", default=[], help="scripts that run one after another, alone")
    parser.add_argument("--limit", type=float, default=300, help="seconds for one program")
    parser.add_argument("--deadline", type=float, default=900, help="seconds for all of them, without the build")
    arguments = parser.parse_args()
    if not build(arguments.build):
        print("0 passed, 1 failed")
        return 1
    run = Run(arguments.limit, arguments.deadline)
    together = [(path, False) for path in dict.fromkeys(arguments.programs)]
    together += [(path, True) for path in arguments.checks]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, run.interrupt)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run.one(*job), together))
    for path in arguments.scripts:
        run.one(path, True)
    if run.passed + run.failed == 0:
        run.failed = 1
        print("No test is registered.")
    print(f"{run.passed} passed, {run.failed} failed")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
