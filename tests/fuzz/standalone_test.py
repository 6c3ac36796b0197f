#!/usr/bin/env -S python3 -B
"""The test of standalone.c: it finds what a broken target hides, repeats itself from a seed, and counts."""
import os
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# Prints what it is given, so that runs can be compared.
HONEST = "for (size_t i = 0; i < size; i++) printf(\"%02x\", data[i]); printf(\"\\n\"); return 0;"
READS_BEYOND = "return size > 40 && data[size] == 7 ? -1 : 0;"
ABORTS = "if (size > 2 && data[0] == 'a' && data[1] == 0xff) abort(); return 0;"
REFUSES = "(void)data; return size == 3 ? 1 : 0;"


def build(folder, body):
    source = os.path.join(folder, "toy.c")
    with open(source, "w") as opened:
        opened.write('#include "tests/fuzz/fuzz.h"\n#include <stdio.h>\n#include <stdlib.h>\n'
                     "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { %s }\n" % body)
    program = os.path.join(folder, "fuzz-toy")
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-O1", *SANITIZERS, f"-I{TOP}", "-o", program, source,
                    os.path.join(TOP, "tests", "fuzz", "standalone.c")], check=True)
    corpus = os.path.join(folder, "corpus")
    os.mkdir(corpus)
    for name, content in (("a", b"abc"), ("b", b"abcdefgh" * 900)):
        with open(os.path.join(corpus, name), "wb") as opened:
            opened.write(content)
    return program, corpus


def run(program, corpus, seed="7", runs="2000"):
    # Without the log that the runner asks for: here the sanitizer is meant to complain.
    settings = {**os.environ, "ASAN_OPTIONS": "", "TUNIC_SEED": seed, "TUNIC_FUZZ_RUNS": runs}
    return subprocess.run([program, corpus], capture_output=True, text=True, env=settings, timeout=60)


def test_honest(program, corpus):
    first, again, other = run(program, corpus), run(program, corpus), run(program, corpus, seed="8")
    inputs = first.stdout.splitlines()[1:-1]
    yield "passes", first.returncode == 0 and first.stdout.endswith("\n3 passed, 0 failed\n")
    yield "prints its seed first", first.stdout.startswith("TUNIC_SEED=7: 2 files, 2000 mutations\n")
    yield "replays whole files in order", inputs[:2] == [b"abc".hex(), (b"abcdefgh" * 900).hex()]
    yield "bounds its mutations", len(inputs) == 2002 and max(map(len, inputs[2:])) == 2 * 4096
    yield "varies its mutations", len(set(inputs)) > 1500
    yield "repeats itself from a seed", first.stdout == again.stdout and first.stdout != other.stdout
    empty = run(program, corpus + "-none")
    yield "works without a corpus", empty.returncode == 0 and empty.stdout.endswith("\n1 passed, 0 failed\n")
    yield "refuses a broken seed", run(program, corpus, seed="x").returncode == 1


def test_broken(program, corpus):
    died = run(program, corpus)
    yield "notices", died.returncode != 0 and "passed" not in died.stdout
    yield "leaves the input", os.path.exists(f"{program}.input")
    alone = f"{corpus}-alone"
    os.mkdir(alone)
    os.rename(f"{program}.input", f"{alone}/input")
    yield "replays the input", run(program, alone, runs="0").returncode != 0


def test_refusing(program, corpus):
    refused = run(program, corpus)
    yield "counts", refused.returncode == 1 and refused.stdout.endswith("\n1 passed, 2 failed\n")


def main():
    results = []
    for name, body, test in (("honest", HONEST, test_honest), ("reads beyond", READS_BEYOND, test_broken),
                             ("aborts", ABORTS, test_broken), ("refuses", REFUSES, test_refusing)):
        with tempfile.TemporaryDirectory() as folder:
            results += [(f"{name}: {what}", holds) for what, holds in test(*build(folder, body))]
    failed = [what for what, holds in results if not holds]
    for what in failed:
        print(f"Not as it should be: {what}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
