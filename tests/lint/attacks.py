"""The list of attacks names tests: each of them exists, and no attack is without one."""
import re

LIST = "specs/attacks.md"
UNIT_TEST = re.compile(r"^(?:Parameterized)?Test\(\s*(\w+),\s*(\w+)", re.M)
SCENARIO = re.compile(r'^\s*\{"([\w-]+)",', re.M)


def named(tree):
    """All that may stand between backticks."""
    names = set(tree.paths)
    for file in tree.c_files:
        if file.path.startswith("tests/unit/"):
            names.update(f"{suite}::{test}" for suite, test in UNIT_TEST.findall(file.uncommented))
        elif file.path.startswith("tests/sim/scenario"):
            names.update(SCENARIO.findall(file.uncommented))
    return names


def entries(file):
    """The numbered entries: their first line and the text that belongs to them."""
    found = []
    for number, line in enumerate(file.lines, 1):
        if re.match(r"\d+\. ", line):
            found.append([number, line])
        elif found and line.startswith(" "):
            found[-1][1] += "\n" + line
    return found


def check_attacks(tree):
    """Whoever renames or removes a test says so in the list."""
    file = next((file for file in tree.files if file.path == LIST), None)
    if not file:
        return
    names = named(tree)
    for start, text in entries(file):
        tests = list(re.finditer(r"`([^`\n]+)`", text))
        if not tests:
            yield file.finding(start, "an attack without a test, write one and name it")
        for test in tests:
            if test[1] not in names:
                yield file.finding(start + text.count("\n", 0, test.start()),
                                   f"`{test[1]}` is no test, name the one that fails without the defence")
