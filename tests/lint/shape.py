"""Sizes, headers and switches."""
import re

MAX_FILE_LINES = 600
MAX_HEADER_LINES = 200
MAX_FUNCTION_LINES = 70
MIN_HEADER_COMMENT_LINES = 3


def line_count(file):
    return len(file.text.splitlines())


def check_sizes(tree):
    """Files, headers and functions a reader can hold in mind."""
    for file in tree.files:
        if not file.path.endswith((".c", ".h", ".py", ".sh")):
            continue
        allowed = MAX_HEADER_LINES if file.is_header else MAX_FILE_LINES
        if line_count(file) > allowed:
            yield file.finding(allowed + 1, f"{line_count(file)} lines, at most {allowed}: split it by what it does")
        if not file.is_c:
            continue
        for function in file.outline[0]:
            lines = function.last - function.first + 1
            if lines > MAX_FUNCTION_LINES:
                yield file.finding(function.first, f"a function of {lines} lines, at most {MAX_FUNCTION_LINES}: "
                                                   "give its steps names")


def check_headers(tree):
    """Each header says what it is, and can be included twice."""
    for file in tree.c_files:
        if not file.is_header:
            continue
        comment = file.comments[0][1] if file.text.startswith("/*") else ""
        if comment.count("\n") + 1 < MIN_HEADER_COMMENT_LINES:
            yield file.finding(1, f"no opening comment of at least {MIN_HEADER_COMMENT_LINES} lines, say what it is, "
                                  "which spec section, who calls it, what it never does")
        guard = "TUNIC_" + re.sub(r"\W", "_", file.path.upper())
        if not re.search(rf"^#ifndef {guard}\n#define {guard}\n", file.uncommented, re.M):
            yield file.finding(1, f"include guard missing or not of this path, it must be {guard}")


def check_switches(tree):
    """The compiler names the forgotten value of an enum, unless `default` hides it."""
    for file in tree.shipped:
        for match in re.finditer(r"\bdefault\s*:", file.code):
            yield file.finding(file.line_at(match.start()), "`default:` hides a forgotten value, name every value of "
                                                            "the enum; for integers use ifs or a table")
