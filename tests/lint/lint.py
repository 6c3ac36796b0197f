#!/usr/bin/env -S python3 -B
"""Lint: a test with no exceptions. Prints `file:line: what is wrong, what to do`; see the checks in this folder."""
import os
import sys

sys.dont_write_bytecode = True

import attacks
import calls
import includes
import shape
import specs
import state
import words
from tree import Tree

CHECKS = (
    includes.check_directions, includes.check_system_headers, includes.check_cycles,
    calls.check_banned, calls.check_comparisons,
    state.check_globals,
    shape.check_sizes, shape.check_headers, shape.check_switches,
    specs.check_definitions, specs.check_quotes, specs.check_limits,
    attacks.check_attacks,
    words.check_phrases, words.check_blanks, words.check_readme,
)


def run(root):
    """A list of findings for each check."""
    tree = Tree(root)
    return [sorted(check(tree)) for check in CHECKS]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    results = run(os.path.realpath(root))
    for finding in sorted(finding for findings in results for finding in findings):
        print(f"{finding.path}:{finding.line}: {finding.message}")
    failed = sum(1 for findings in results if findings)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
