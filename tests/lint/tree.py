"""The files lint looks at, and C source taken apart just far enough to be checked."""
import collections
import functools
import os
import re
import subprocess

FOLDERS = ("crypto", "protocol", "directory", "relay", "client", "io", "network")
PURE_FOLDERS = ("crypto", "protocol", "directory", "relay", "client")
DRIVER_FILES = ("driver.c", "driver.h", "main.c")
TEXT_SUFFIXES = (".c", ".h", ".py", ".sh", ".md", ".mk", ".yml")
TEXT_NAMES = ("Makefile", ".ci/run", ".gitignore", ".clang-format")

Finding = collections.namedtuple("Finding", "path line message")
Function = collections.namedtuple("Function", "signature first last")
Declaration = collections.namedtuple("Declaration", "text line")


def list_files(root):
    """Tracked files and new ones that git does not ignore; every file where there is no repository."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
        for folder, names, files in os.walk(root):
            names[:] = [name for name in names if name != ".git" and not name.startswith("build")]
            listed += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    # A deleted file stays listed until the deletion is committed.
    return sorted({path for path in listed if path and os.path.isfile(os.path.join(root, path))})


def blanked(text):
    """The same length and lines, with nothing on them."""
    return re.sub(r"[^\n]", " ", text)


class File:
    """A text file of the tree; for C also its parts. Every part keeps the lines of the original."""

    COMMENT_OR_LITERAL = re.compile(
        r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
    DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)

    def __init__(self, root, path):
        self.path = path
        self.name = os.path.basename(path)
        self.folder = path.split("/")[0] if "/" in path else ""
        with open(os.path.join(root, path), "rb") as opened:
            self.text = opened.read().decode("utf-8", errors="replace")
        self.lines = self.text.split("\n")
        self.is_c = path.endswith((".c", ".h"))
        self.is_header = path.endswith(".h")
        self.is_test = self.folder == "tests"
        self.is_driver = self.name in DRIVER_FILES and self.folder in ("directory", "relay", "client", "network")
        self.is_pure = self.folder in PURE_FOLDERS and not self.is_driver

    def line_at(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def finding(self, line, message):
        return Finding(self.path, line, message)

    @functools.cached_property
    def uncommented(self):
        """The code without its comments."""
        return self.COMMENT_OR_LITERAL.sub(
            lambda match: blanked(match[0]) if match[0].startswith("/") else match[0], self.text)

    @functools.cached_property
    def code(self):
        """The code without comments and without what stands between quotes."""
        return self.COMMENT_OR_LITERAL.sub(lambda match: blanked(match[0]), self.text)

    @functools.cached_property
    def comments(self):
        """Pairs of line and text. In scripts a comment runs from `#` to the end of its line."""
        if not self.is_c:
            found = [(number, re.search(r"(?:^|\s)#\s.*", line)) for number, line in enumerate(self.lines, 1)]
            return [(number, match[0]) for number, match in found if match]
        return [(self.line_at(match.start()), match[0])
                for match in self.COMMENT_OR_LITERAL.finditer(self.text) if match[0].startswith("/")]

    @functools.cached_property
    def includes(self):
        """Pairs of line and included path, and whether it was quoted."""
        pattern = re.compile(r"^[ \t]*#[ \t]*include[ \t]*(?:\"([^\"\n]+)\"|<([^>\n]+)>)", re.M)
        return [(self.line_at(match.start()), match[1] or match[2], match[1] is not None)
                for match in pattern.finditer(self.uncommented)]

    @functools.cached_property
    def outline(self):
        """The functions, and the declarations outside them with braces emptied."""
        code = self.DIRECTIVE.sub(lambda match: blanked(match[0]), self.code)
        functions, declarations = [], []
        depth, start, opened, statement = 0, 0, 0, ""
        for match in re.finditer(r"[{};]|[^{};]+", code):
            token, offset = match[0], match.start()
            if token == "{":
                if depth == 0:
                    opened = offset
                depth += 1
            elif token == "}":
                depth = max(0, depth - 1)
                if depth == 0 and self.opens_function(statement):
                    functions.append(Function(" ".join(statement.split()), self.line_at(opened), self.line_at(offset)))
                    statement = ""
                elif depth == 0:
                    statement += "{}"
            elif depth == 0 and token == ";":
                declarations.append(Declaration(" ".join(statement.split()), self.line_at(start)))
                statement = ""
            elif depth == 0:
                if not statement.strip():
                    start = offset + len(token) - len(token.lstrip())
                statement += token
        return functions, declarations

    @staticmethod
    def opens_function(statement):
        return statement.rstrip().endswith(")") and "=" not in statement


class Tree:
    """Everything the checks read."""

    def __init__(self, root):
        self.root = root
        self.paths = list_files(root)
        self.files = [File(root, path) for path in self.paths
                      if path.endswith(TEXT_SUFFIXES) or path in TEXT_NAMES]
        self.c_files = [file for file in self.files if file.is_c]
        self.shipped = [file for file in self.c_files if not file.is_test]
