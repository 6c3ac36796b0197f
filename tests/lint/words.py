"""Text that does not belong in the tree, and commands of the README that do not exist."""
import os
import re
import subprocess

# A bracket in each pattern keeps this table from finding itself.
PHRASES = (
    (r"(?<![\w.*~$}>-])/(?:wor[k]|roo[t]|hom[e])/", "a path of one machine", "use a relative path or an argument"),
    (r"\bTOD[O]\b|\bFIXM[E]\b|\bXX[X]\b", "unfinished work", "finish it or take it out"),
    (r"\bthis sessio[n]\b|\bissue [#]|\bCE[O]\b", "talk about the work", "say what holds for every reader"),
)


def check_phrases(tree):
    """The text speaks to every reader, on every machine."""
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            for pattern, what, instead in PHRASES:
                match = re.search(pattern, line)
                if match:
                    yield file.finding(number, f"`{match[0]}` is {what}, {instead}")


def check_blanks(tree):
    """Lines end where they seem to."""
    for file in tree.files:
        if "\r" in file.text:
            yield file.finding(file.line_at(file.text.index("\r")), "a carriage return, save with Unix line ends")
        if file.text and not file.text.endswith("\n"):
            yield file.finding(len(file.lines), "no newline at the end of the file, add one")
        for number, line in enumerate(file.lines, 1):
            if line.rstrip("\r") != line.rstrip():
                yield file.finding(number, "trailing blanks, remove them")
            if file.is_c and "\t" in line:
                yield file.finding(number, "a tab, indent with spaces and write \\t in strings")


def make_targets(root):
    """Every target and pattern make knows, also those it computes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    # A target that cannot exist: make prints what it knows and runs nothing.
    database = subprocess.run(["make", "-C", root, "-rRpq", "--no-print-directory", "no such target"],
                              capture_output=True, text=True, env={**environment, "LC_ALL": "C"}).stdout
    lines = database.splitlines()
    targets = set()
    for before, line in zip([""] + lines, lines):
        match = re.match(r"([^\s#:=][^:=]*):(?!=)", line)
        if match and before != "# Not a target:":
            targets.update(match[1].split())
    return targets


def commands_in(file):
    """Lines of code blocks and text between backticks."""
    in_block = False
    for number, line in enumerate(file.lines, 1):
        if line.lstrip().startswith("```"):
            in_block = not in_block
        elif in_block or line.startswith("    "):
            for command in re.split(r"&&|[;|]", line.split("#")[0]):
                yield number, command
        else:
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span


def is_target(word, targets):
    """`fuzz-NAME` stands for any target that begins so."""
    stem = re.sub(r"(?:[A-Z]+|<\w+>)$", "", word)
    for target in targets:
        start, percent, end = target.partition("%")
        if word == target or (stem != word and start.startswith(stem)):
            return True
        if percent and start and word.startswith(start) and word.endswith(end):
            return True
    return False


def check_readme(tree):
    """What the README tells people to type works."""
    readme = next((file for file in tree.files if file.path == "README.md"), None)
    targets = None
    for number, command in commands_in(readme) if readme else ():
        words = command.strip().removeprefix("$ ").split()
        if words[:1] != ["make"]:
            continue
        targets = make_targets(tree.root) if targets is None else targets
        for word in words[1:]:
            if "=" not in word and not word.startswith("-") and not is_target(word, targets):
                yield readme.finding(number, f"`make {word}` is no target of the Makefile, correct the name")
