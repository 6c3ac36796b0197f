#!/usr/bin/env -S python3 -B
"""The runner's own test: each way a program can fail is seen, and the sums of the last line are right."""
import os
import re
import subprocess
import sys
import tempfile
import time

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
SYNTHESIS = "echo '[====] Synthesis: Tested: {} | Passing: {} | Failing: {} | Crashing: {}' >&2"
LEAK = 'log=${ASAN_OPTIONS##*log_path=}; echo "leaked 8 bytes" >$log.123'

# Name, kind, shell text, then passed, failed, and what must be printed.
CASES = (
    ("criterion", "--programs", SYNTHESIS.format(5, 5, 0, 0), 5, 0, "5 tests"),
    ("criterion failing", "--programs", f"echo told; {SYNTHESIS.format(5, 3, 2, 1)}; exit 1", 3, 2, "told"),
    ("criterion in colour", "--programs", SYNTHESIS.format("\x1b[1m4\x1b[0m", 4, 0, 0), 4, 0, "4 tests"),
    ("leak with status 0", "--programs", f"{SYNTHESIS.format(5, 5, 0, 0)}; {LEAK}", 5, 1, "leaked 8 bytes"),
    ("closing line", "--programs", "echo '7 passed, 0 failed'", 7, 0, "7 tests"),
    ("closing line failing", "--programs", "echo '7 passed, 2 failed'; exit 1", 7, 2, "FAIL"),
    ("closing line, then death", "--programs", "echo '7 passed, 0 failed'; exit 3", 7, 1, "It ended with 3."),
    ("program without tests", "--programs", "true", 0, 1, "It ran no test."),
    ("criterion without tests", "--programs", SYNTHESIS.format(0, 0, 0, 0), 0, 1, "It ran no test."),
    ("script", "--scripts", "echo quiet", 1, 0, " 1 test "),
    ("script failing", "--scripts", "echo why; exit 1", 0, 1, "why"),
    ("script with a closing line", "--checks", "echo '3 passed, 0 failed'", 3, 0, "3 tests"),
    ("script without tests", "--scripts", "echo '0 passed, 0 failed'", 0, 1, "It ran no test."),
    ("missing program", "--programs", None, 0, 1, "Cannot be started"),
)


def runner(*arguments):
    """Output lines and exit status."""
    done = subprocess.run([RUNNER, *arguments], capture_output=True, text=True, timeout=60)
    return done.stdout.splitlines(), done.returncode


def program(folder, text, name="program"):
    path = os.path.join(folder, name)
    with open(path, "w") as opened:
        opened.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return path


def judges(kind, text, passed, failed, printed):
    with tempfile.TemporaryDirectory() as folder:
        path = program(folder, text) if text is not None else f"{folder}/missing"
        lines, status = runner(kind, path)
    return (lines[-1] == f"{passed} passed, {failed} failed" and status == (1 if failed else 0)
            and printed in "\n".join(lines))


def keeps_passing_output_short():
    with tempfile.TemporaryDirectory() as folder:
        lines, _ = runner("--scripts", program(folder, "echo one; echo two"))
    return len(lines) == 2


def goes_on_after_a_failure():
    with tempfile.TemporaryDirectory() as folder:
        lines, status = runner("--programs", program(folder, "exit 1", "bad"),
                               program(folder, "echo '2 passed, 0 failed'", "good"),
                               "--scripts", program(folder, "true", "script"))
    return lines[-1] == "3 passed, 1 failed" and status == 1


def stops_when_the_build_fails():
    with tempfile.TemporaryDirectory() as folder:
        lines, status = runner("--build", "-f /dev/null no-such-target", "--scripts", program(folder, "true"))
    return lines[-1] == "0 passed, 1 failed" and status == 1 and any("no-such-target" in line for line in lines)


def kills_the_whole_group():
    """Also a grandchild that holds the output open."""
    with tempfile.TemporaryDirectory() as folder:
        path = program(folder, f"sleep 60 & echo $! >{folder}/grandchild; wait")
        started = time.monotonic()
        lines, status = runner("--limit", "0.3", "--scripts", path)
        with open(f"{folder}/grandchild") as opened:
            state = f"/proc/{opened.read().strip()}/stat"
        # Until init has collected it, a killed process is still listed, as a zombie.
        gone = not os.path.exists(state) or re.search(r"\) Z ", open(state).read()) is not None
    return lines[-1] == "0 passed, 1 failed" and status == 1 and gone and time.monotonic() - started < 20


def keeps_the_deadline():
    with tempfile.TemporaryDirectory() as folder:
        lines, status = runner("--deadline", "0.3", "--scripts", program(folder, "sleep 60", "a"),
                               program(folder, "true", "b"))
    return lines[-1] == "0 passed, 2 failed" and status == 1 and any("Not run" in line for line in lines)


def refuses_to_test_nothing():
    return runner("--programs")[1] == 1


def main():
    tests = [(name, lambda case=case: judges(*case)) for name, *case in CASES]
    tests += [(test.__name__, test) for test in (
        keeps_passing_output_short, goes_on_after_a_failure, stops_when_the_build_fails, kills_the_whole_group,
        keeps_the_deadline, refuses_to_test_nothing)]
    failed = [name for name, test in tests if not test()]
    for name in failed:
        print(f"Not as it should be: {name}")
    print(f"{len(tests) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
