"""No mutable global state: two relays must fit into one process."""
import os
import re
import subprocess

ADVICE = "is mutable and outlives every call, move it into the struct its functions are handed, or make it const"
WRITABLE = re.compile(r"(?:\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\*COM\*)")


def object_path(tree, file):
    """The file's object, if it is newer than the source."""
    path = os.path.join(tree.root, "build", file.path[:-2] + ".o")
    source = os.path.join(tree.root, file.path)
    return path if os.path.exists(path) and os.path.getmtime(path) >= os.path.getmtime(source) else None


def writable_symbols(objects):
    """Pairs of object and symbol. Sections, not nm's letters: constants that hold addresses stand in
    .data.rel.ro, which is read-only once the program runs, yet has the letter of .data."""
    if not objects:
        return
    listing = subprocess.run(["nm", "--format=sysv", "--print-file-name", *objects],
                             capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7 and WRITABLE.match(fields[6]):
            path, _, symbol = fields[0].rpartition(":")
            yield path, symbol


def defining_line(file, symbol):
    """A static inside a function has a number behind its name."""
    pattern = re.compile(rf"\b{re.escape(symbol.split('.')[0])}\b\s*(?:\[[^;=]*\]\s*)*[=;]")
    match = pattern.search(file.code)
    return file.line_at(match.start()) if match else 1


def is_constant(declarator):
    """`const` must qualify the object itself: behind the last star where there is one."""
    without_sizes = re.sub(r"\[[^\]]*\]", "[]", declarator)
    return re.search(r"\bconst\b", without_sizes.rpartition("*")[2]) is not None


def declares_mutable(text):
    """Whether a declaration outside functions makes an object that can change."""
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)|\b_?[Aa]lignas\s*\([^)]*\)", " ", text)
    declarator = text.split("=")[0].strip()
    if not declarator or re.match(r"(?:typedef|extern|_Static_assert|static_assert)\b", declarator):
        return False
    if re.match(r"(?:struct|union|enum)(?:\s+\w+)?(?:\s*\{\})?$", declarator):
        return False
    if "(" in declarator and not re.search(r"\(\s*\*", declarator):
        return False
    if re.search(r"^[\w\s*]*\w\s*\([^*]", declarator):
        return False  # a function that takes function pointers
    pointer = re.search(r"\(\s*\*\s*([^()]*)\)\s*\(", declarator)
    return not is_constant(pointer[1] if pointer else declarator)


def mutable_in_source(file):
    """For files that are not built yet: the lines of declarations that look mutable."""
    for declaration in file.outline[1]:
        if declares_mutable(declaration.text):
            yield declaration.line
    for function in file.outline[0]:
        body = "\n".join(file.code.split("\n")[function.first - 1:function.last])
        for match in re.finditer(r"\b(?:static|_Thread_local)\b[^;={]*", body[body.find("{"):]):
            if not is_constant(match[0]):
                yield function.first + body.count("\n", 0, body.find("{") + match.start())


def check_globals(tree):
    """The built objects are the truth; the source stands in for those not built."""
    sources = {}
    for file in tree.shipped:
        built = object_path(tree, file) if file.path.endswith(".c") else None
        if built:
            sources[built] = file
        else:
            for line in mutable_in_source(file):
                yield file.finding(line, f"this object {ADVICE}")
    for path, symbol in writable_symbols(list(sources)):
        file = sources[path]
        yield file.finding(defining_line(file, symbol), f"{symbol} {ADVICE}")
