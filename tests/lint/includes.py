"""Who may include whom. The folders form layers; only drivers and main files join them to the system."""
import re

from tree import FOLDERS

MAY_INCLUDE = {
    "crypto": ("crypto",),
    "protocol": ("protocol", "crypto"),
    "directory": ("directory", "protocol", "crypto"),
    "relay": ("relay", "directory", "protocol", "crypto"),
    "client": ("client", "directory", "protocol", "crypto"),
    "io": ("io", "protocol", "crypto"),
    "network": ("network", "io", "directory", "protocol", "crypto"),
}
SYSTEM = re.compile(
    r"event2/|sys/|net/|netinet/|arpa/|linux/|"
    r"(?:unistd|fcntl|time|pthread|threads|dirent|netdb|poll|signal|sched|spawn|pwd|grp|ifaddrs|syslog)\.h$")
ATOMICS = re.compile(r"io/|protocol/ring\.|protocol/memory_budget\.|protocol/document.|directory/consensus")


def check_directions(tree):
    """Each include follows the layers."""
    for file in tree.shipped:
        if file.folder not in MAY_INCLUDE:
            yield file.finding(1, f"C source outside the project's folders, move it into one of {', '.join(FOLDERS)}")
            continue
        allowed = MAY_INCLUDE[file.folder] + (("io",) if file.is_driver else ())
        for line, path, quoted in file.includes:
            folder = path.split("/")[0] if "/" in path else ""
            if quoted and not folder:
                yield file.finding(line, f'"{path}" has no folder, include it as "{file.folder}/{path}"')
            elif (quoted or folder in FOLDERS) and folder not in allowed:
                yield file.finding(line, f"{file.folder} must not include {folder} (only {', '.join(allowed)}), "
                                         "hand the value in or move the code to its layer")


def check_system_headers(tree):
    """The system, libevent, atomics and libcrypto stay where they are expected."""
    for file in tree.shipped:
        touches_system = file.folder in ("io", "network") or file.name in ("driver.c", "main.c")
        for line, path, quoted in file.includes:
            if quoted:
                continue
            if SYSTEM.match(path) and not touches_system:
                yield file.finding(line, f"<{path}> outside io/, network/, driver.c and main.c, "
                                         "let the driver do it and hand in the result")
            elif path == "stdatomic.h" and not ATOMICS.match(file.path):
                yield file.finding(line, "<stdatomic.h> outside io/, protocol/ring, protocol/memory_budget, protocol/document and "
                                         "directory/consensus, exchange values over a ring")
            elif path.startswith("openssl/") and not re.match(r"crypto/aead\w*\.c$", file.path):
                yield file.finding(line, f"<{path}> outside crypto/aead*.c, use the functions of crypto/aead.h")


def check_cycles(tree):
    """No header includes itself through others."""
    edges = {file.path: [(path, line) for line, path, quoted in file.includes if quoted]
             for file in tree.c_files if file.is_header}
    finished = set()

    def visit(path, trail):
        if path in trail:
            cycle = trail[trail.index(path):] + [path]
            line = next(line for target, line in edges[cycle[-2]] if target == path)
            yield from [(cycle, line)]
        elif path in edges and path not in finished:
            for target, _ in edges[path]:
                yield from visit(target, trail + [path])
            finished.add(path)

    by_path = {file.path: file for file in tree.c_files}
    for start in sorted(edges):
        for cycle, line in visit(start, []):
            yield by_path[cycle[-2]].finding(line, f"include cycle {' -> '.join(cycle)}, declare the struct instead")
