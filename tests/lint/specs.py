"""The specification and the code say the same: every rule is carried out somewhere, every quote is of a rule."""
import math
import re

RULE = r"\[([A-Z]+(?:-[A-Z]+)*-[0-9]+)\]"
NOT_BUILT = "specs/not-yet-built.md"


def definitions(tree):
    """Triples of rule, file and line."""
    for file in tree.files:
        if re.match(r"specs/[^/]+\.md$", file.path) and file.path != NOT_BUILT:
            for number, line in enumerate(file.lines, 1):
                match = re.match(rf"\*\*{RULE}\*\*", line)
                if match:
                    yield match[1], file, number


def quotes(tree):
    """Triples of rule, file and line, from the comments of code and of tests."""
    for file in tree.files:
        if file.is_c or (file.is_test and file.path.endswith((".py", ".sh"))):
            for start, comment in file.comments:
                for match in re.finditer(RULE, comment):
                    yield match[1], file, start + comment.count("\n", 0, match.start())


def postponed(tree):
    """Triples of line number, rule or None, and reason, from the list of what is not built."""
    file = next((file for file in tree.files if file.path == NOT_BUILT), None)
    for number, line in enumerate(file.lines if file else [], 1):
        if line.startswith("- ["):
            match = re.match(rf"- {RULE}\W*(.*)", line)
            yield file, number, match and match[1], match[2] if match else ""


def limits(tree):
    """What protocol/limits.h says of each limit; times in seconds."""
    file = next((file for file in tree.files if file.path == "protocol/limits.h"), None)
    known = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}
    for name, value in re.findall(r"(LIMIT_\w+)(?: = | \()([\w *]+)[,)]", "\n".join(file.lines) if file else ""):
        factors = [known.get(word) or (int(word) if word.isdigit() else None) for word in value.split(" * ")]
        if None not in factors:
            known[name] = math.prod(factors)
    return known


def check_limits(tree):
    """The limits that the specification gives in numbers are those of the code."""
    known = limits(tree)
    file = next((file for file in tree.files if file.path == "specs/limits.md"), None)
    for number, line in enumerate(file.lines if file else [], 1):
        match = re.match(r"\| (LIMIT_\w+) \| ([0-9,]+)(?: s)? \|", line)
        if match and known.get(match[1]) != int(match[2].replace(",", "")):
            yield file.finding(number, f"{match[1]} is {known.get(match[1], 'not')} in protocol/limits.h, make them the same")


def check_definitions(tree):
    """A rule is defined once, at the beginning of a line."""
    defined = {}
    for rule, file, line in definitions(tree):
        if rule in defined:
            first, where = defined[rule]
            yield file.finding(line, f"[{rule}] is defined already in {first.path}:{where}, give it another number")
        defined.setdefault(rule, (file, line))
    for file in tree.files:
        if file.folder == "specs":
            for number, line in enumerate(file.lines, 1):
                if re.search(rf".\*\*{RULE}\*\*", line):
                    yield file.finding(number, "a rule's definition inside a line, begin the line with it or quote "
                                               "it without the stars")


def check_quotes(tree):
    """What is quoted exists, what exists is quoted or known to be missing."""
    defined = {}
    for rule, file, line in definitions(tree):
        defined.setdefault(rule, (file, line))
    quoted = {}
    for rule, file, line in quotes(tree):
        quoted.setdefault(rule, (file, line))
        if rule not in defined:
            yield file.finding(line, f"[{rule}] is in no file of specs/, write the rule or quote the right one")
    missing = set()
    for file, line, rule, reason in postponed(tree):
        missing.add(rule)
        if not reason:
            yield file.finding(line, "an entry without a reason, write `- [AREA-1] and why`")
        elif rule not in defined:
            yield file.finding(line, f"[{rule}] is in no file of specs/, remove the entry")
        elif rule in quoted:
            where = quoted[rule]
            yield file.finding(line, f"[{rule}] is quoted in {where[0].path}:{where[1]}, remove the entry")
    for rule, (file, line) in defined.items():
        if rule not in quoted and rule not in missing:
            yield file.finding(line, f"[{rule}] is quoted nowhere, quote it where it is carried out or list it in "
                                     f"{NOT_BUILT}")
