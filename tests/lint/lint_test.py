#!/usr/bin/env -S python3 -B
"""Lint's own test: a clean tree passes, and each planted violation is found at its line, and nothing else is."""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import lint

HEADER = """/* What it is.
 * Spec: specs/x.md. Called by the test.
 * Never does anything.
 */
#ifndef TUNIC_{0}_H
#define TUNIC_{0}_H
{1}
#endif
"""
CLEAN = {
    "Makefile": "all: build/x\n\nfuzz-%:\n\ttrue\n\n.PHONY: all\nbuild/x:\n\ttrue\n",
    "README.md": "Type `make all` or `make fuzz-NAME`. To make sure, `make -j2 all SANITIZE=1`.\n\n```\nmake all\n```\n",
    "specs/x.md": "# X\n**[LINK-1]** One.\n**[ON-ION-2]** Two, after [LINK-1].\n**[LINK-3]** Three.\n",
    "specs/not-yet-built.md": "# Not yet built\n- [LINK-3]: nobody needs it before relays do.\n",
    "protocol/cell.h": HEADER.format("PROTOCOL_CELL", "int cell_time(int (*take)(void));"),
    "protocol/cell.c": """#include "protocol/cell.h"

#include <string.h>
#include <sodium.h>

/* [LINK-1] [ON-ION-2] time(NULL) and printf() in a comment are no calls. */
static const char *const names[2 * 1] = {"time(NULL)", "default:"};
static int (*const table[])(int (*take)(void)) = {cell_time};
struct pair { int a, b; };
enum { LAST = 3 };

int cell_time(int (*take)(void)) {
  static const int step[] = {1, 2};
  const struct pair pair = {1, 2};
  if (memcmp(names[0], table, sizeof names) == 0) return pair.b;
  return take() + step[0];
}
""",
    "crypto/aead_fast.c": "#include <openssl/evp.h>\n",
    "relay/driver.c": '#include "io/loop.h"\n#include "relay/driver.h"\n#include <time.h>\n#include <event2/event.h>\n',
    "io/loop.h": HEADER.format("IO_LOOP", "struct loop;"),
    "relay/driver.h": HEADER.format("RELAY_DRIVER", '#include "io/loop.h"'),
    "tests/unit/protocol/cell.c": "static int calls;\nint main(void) { switch (calls) { default: return calls; } }\n",
}

LIMITS = HEADER.format("PROTOCOL_LIMITS", "enum {\n  LIMIT_A = 64 * 1024, /* a */\n  LIMIT_B = 3,\n};\n#define LIMIT_C (2 * MINUTES)")


def function(lines):
    return "int f(void) {\n" + "  ;\n" * (lines - 2) + "}\n"


def plant(name, path, text, *expected):
    return name, {path: text}, expected


PLANTED = [
    plant("crypto above itself", "crypto/a.c", '\n#include "protocol/cell.h"\n', "crypto/a.c:2: crypto must not"),
    plant("protocol to directory", "protocol/a.c", '#include "directory/a.h"\n', "protocol/a.c:1: protocol must"),
    plant("relay to client", "relay/a.c", '#include "client/a.h"\n', "relay/a.c:1: relay must not include client"),
    plant("client to relay", "client/main.c", '#include "relay/a.h"\n', "client/main.c:1: client must not"),
    plant("relay to io", "relay/a.c", '#include "io/loop.h"\n', "relay/a.c:1: relay must not include io"),
    plant("io to relay", "io/a.c", "#include <relay/driver.h>\n", "io/a.c:1: io must not include relay"),
    plant("tests from code", "io/a.c", '#include "tests/a.h"\n', "io/a.c:1: io must not include tests"),
    plant("no folder", "io/a.c", '#include "loop.h"\n', "io/a.c:1: \"loop.h\" has no folder"),
    plant("strange folder", "tools/a.c", "int a(void);\n", "tools/a.c:1: C source outside"),
    plant("clock header", "protocol/a.c", "#include <time.h>\n", "protocol/a.c:1: <time.h> outside"),
    plant("system header", "relay/driver.h", HEADER.format("RELAY_DRIVER", "#include <sys/socket.h>"),
          "relay/driver.h:7: <sys/socket.h> outside"),
    plant("libevent", "directory/a.c", "#include <event2/event.h>\n", "directory/a.c:1: <event2/event.h> outside"),
    plant("atomics", "relay/a.c", "#include <stdatomic.h>\n", "relay/a.c:1: <stdatomic.h> outside"),
    plant("libcrypto", "crypto/sign.c", "#include <openssl/evp.h>\n", "crypto/sign.c:1: <openssl/evp.h> outside"),
    ("cycle", {"io/a.h": HEADER.format("IO_A", '#include "io/b.h"'),
               "io/b.h": HEADER.format("IO_B", '#include "io/a.h"')},
     ("io/b.h:7: include cycle io/a.h -> io/b.h -> io/a.h",)),
    plant("overrun", "io/a.c", "\nvoid f(char *a) {\n  strcpy (a, a);\n}\n", "io/a.c:3: strcpy is banned"),
    plant("overrun in a test", "tests/a.c", "int f(char *a) { return atoi(a); }\n", "tests/a.c:1: atoi is banned"),
    plant("clock", "relay/a.c", "long f(void) {\n  return time(0);\n}\n", "relay/a.c:2: time is banned"),
    plant("random", "crypto/a.c", "void f(void) { randombytes_buf(0, 0); }\n", "crypto/a.c:1: randombytes_buf is"),
    plant("random key", "crypto/a.c", "void f(void) {\n  crypto_sign_seed_keypair(0, 0, 0);\n  crypto_kx_keypair(0, 0);\n}\n",
          "crypto/a.c:3: crypto_kx_keypair is banned"),
    plant("output", "client/a.c", 'void f(void) { printf("x"); }\n', "client/a.c:1: printf is banned"),
    plant("exit", "protocol/a.c", "void f(void) { exit(1); }\n", "protocol/a.c:1: exit is banned"),
    plant("file", "directory/a.c", "void f(int (*a)(void)) { ops.open(); p->open(); fopen(0, 0); }\n",
          "directory/a.c:1: fopen is banned"),
    plant("secret compare", "protocol/a.c", "int f(const char *a) {\n  return memcmp(g(a, 1),\n    p->link_key, 4);\n}\n",
          "protocol/a.c:2: memcmp of link_key"),
    plant("public compare", "crypto/a.c", "int f(const char *public_key) { return memcmp(public_key, g, KEY_BYTES); }\n"),
    plant("global", "io/a.c", "\nint counter;\n", "io/a.c:2: this object is mutable"),
    plant("pointer to constants", "io/a.c", 'static const char *name = "x";\n', "io/a.c:1: this object is mutable"),
    plant("hook", "io/a.c", "static void (*hook)(void);\n", "io/a.c:1: this object is mutable"),
    plant("static in a function", "io/a.c", "int f(int a)\n{\n  a++;\n  static int n = 1;\n  return n++;\n}\n",
          "io/a.c:4: this object is mutable"),
    plant("long file", "io/a.c", "int f(void);\n" * 601, "io/a.c:601: 601 lines"),
    plant("long test", "tests/system/a.sh", "true\n" * 601, "tests/system/a.sh:601: 601 lines"),
    plant("long header", "io/a.h", HEADER.format("IO_A", "\n" * 193), "io/a.h:201: 201 lines"),
    plant("long function", "io/a.c", "\n" + function(70) + function(71), "io/a.c:72: a function of 71 lines"),
    plant("long old-style function", "io/a.c", "int f(void)\n{\n" + "\n" * 70 + "}\n", "io/a.c:2: a function of 72"),
    plant("header comment", "io/a.h", HEADER.format("IO_A", "").replace("\n * Spec", " Spec").replace("\n *", " *", 1),
          "io/a.h:1: no opening comment"),
    plant("guard", "io/a.h", HEADER.format("A", ""), "io/a.h:1: include guard missing"),
    plant("default", "io/a.c", "void f(int a) {\n  switch (a) {\n  default: break;\n  }\n}\n", "io/a.c:3: `default:`"),
    plant("unknown rule", "io/a.c", "/* See\n * [LINK-9] */\n", "io/a.c:2: [LINK-9] is in no file"),
    ("limit of another value", {"protocol/limits.h": LIMITS, "specs/limits.md": "| LIMIT_A | 65,536 | x |\n| LIMIT_B | 2 | x |\n| LIMIT_C | 9 s | x |\n| LIMIT_D | 1 | x |\n"},
     ("specs/limits.md:2: LIMIT_B is 3 in", "specs/limits.md:3: LIMIT_C is 120 in", "specs/limits.md:4: LIMIT_D is not in")),
    plant("unquoted rule", "specs/y.md", "**[LINK-9]** Nine.\n", "specs/y.md:1: [LINK-9] is quoted nowhere"),
    plant("rule defined twice", "specs/y.md", "\n**[LINK-1]** One.\n", "specs/y.md:2: [LINK-1] is defined already"),
    plant("rule inside a line", "specs/y.md", "x **[LINK-7]** One.\n", "specs/y.md:1: a rule's definition inside"),
    plant("built after all", "io/a.c", "/* [LINK-3] */\n", "specs/not-yet-built.md:2: [LINK-3] is quoted in io/a.c:1"),
    plant("unknown entry", "specs/not-yet-built.md", "- [LINK-3] later\n- [LINK-8] later\n",
          "specs/not-yet-built.md:2: [LINK-8] is in no file"),
    plant("entry without reason", "specs/not-yet-built.md", "- [LINK-3]\n", "specs/not-yet-built.md:1: an entry without"),
    plant("machine path", "README.md", "See " + "/ho" + "me/x.\n", "README.md:1: `/ho" + "me/` is a path"),
    plant("unfinished", "tests/a.sh", "\n# TO" + "DO\n", "tests/a.sh:2: `TO" + "DO` is unfinished work"),
    plant("about the work", "io/a.c", "/* In this sess" + "ion. */\n", "io/a.c:1: `this sess" + "ion` is talk"),
    plant("trailing blank", "io/a.c", "int a(void); \n", "io/a.c:1: trailing blanks"),
    plant("tab", "io/a.c", "\n\tint a(void);\n", "io/a.c:2: a tab"),
    plant("no last newline", "io/a.c", "int a(void);", "io/a.c:1: no newline"),
    plant("carriage return", "io/a.c", "\nint a(void);\r\n", "io/a.c:2: a carriage return"),
    plant("no such target", "README.md", "\n`make al`, `make fuzzy`\n", "README.md:2: `make al` is", "README.md:2: `make fuzzy`"),
]


# What specs/attacks.md may name.
NAMED = {"tests/unit/protocol/b.c": "Test(cells, are_cells) {}\nTest(cells,\n     keep, .timeout = 9) {}\n/* Test(cells, were_cells) */\n",
         "tests/sim/scenarios_x.c": 'static const struct scenario all[] = {\n    {"all-lost", 3, all_lost},\n};\n', "tests/fuzz/x.c": "int a;\n"}
PLANTED += [
    ("attacks with tests", {"specs/attacks.md": "1. A: `cells::are_cells`, `cells::keep`\n2. B:\n   scenario `all-lost`, `tests/fuzz/x.c`\n", **NAMED}, ()),
    ("attacks without", {"specs/attacks.md": "A `word`.\n1. A: `cells::were_cells`\n2. B:\n   scenario `all-won`\n3. C\n", **NAMED},
     ("specs/attacks.md:2: `cells::were_cells` is no test", "specs/attacks.md:4: `all-won` is no test",
      "specs/attacks.md:5: an attack without a test")),
]


def write(root, files):
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", newline="", encoding="utf-8") as opened:
            opened.write(text)


def found_in(files, prepare=lambda root: None):
    """What lint prints for a clean tree with these files put over it."""
    with tempfile.TemporaryDirectory() as root:
        write(root, {**CLEAN, **files})
        prepare(root)
        return [f"{finding.path}:{finding.line}: {finding.message}"
                for findings in lint.run(root) for finding in findings]


def compile_into_build(root):
    os.makedirs(f"{root}/build/io")
    subprocess.run(["cc", "-fPIE", "-c", "-o", f"{root}/build/io/a.o", f"{root}/io/a.c"], check=True)


def ignore_by_git(root):
    write(root, {".gitignore": "/io/ignored.c\n", "io/new.c": "int f(void); \n", "io/ignored.c": "int f(void); \n"})
    subprocess.run(["git", "init", "-q", root], check=True)


SYMBOLS = """static const char *const names[] = {"x"};
static int kept = 1;
const char *f(int a);
const char *f(int a) {
  static int n;
  n += a;
  return names[n + kept];
}
int many;
"""
CASES = [("a clean tree", found_in, {}, ())]
CASES += [(name, found_in, files, expected) for name, files, expected in PLANTED]
CASES += [
    ("built objects", lambda files: found_in(files, compile_into_build), {"io/a.c": SYMBOLS},
     ("io/a.c:2: kept is mutable", "io/a.c:5: n.", "io/a.c:9: many is mutable")),
    ("new and ignored files", lambda files: found_in(files, ignore_by_git), {}, ("io/new.c:1: trailing blanks",)),
]


def main():
    failed = 0
    for name, find, files, expected in CASES:
        found = find(files)
        missed = [start for start in expected if not any(line.startswith(start) for line in found)]
        extra = [line for line in found if not line.startswith(tuple(expected))]
        if missed or extra:
            failed += 1
            print(f"{name}: missed {missed}, found besides {extra}")
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
