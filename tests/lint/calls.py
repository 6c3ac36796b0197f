"""Functions that are not called: some nowhere, some not where code must be pure."""
import re

EVERYWHERE = {
    "strcpy": "copy with a length", "strncpy": "copy with a length", "strcat": "use snprintf",
    "strncat": "use snprintf", "sprintf": "use snprintf", "vsprintf": "use vsnprintf", "gets": "use fgets",
    "strtok": "parse with a cursor", "atoi": "parse with a checked function", "atol": "parse with a checked function",
    "atoll": "parse with a checked function", "atof": "parse with a checked function",
    "alloca": "use a bounded array or malloc", "system": "start the program without a shell",
}
IN_PURE_FOLDERS = {
    r"time|clock|clock_gettime|gettimeofday|timespec_get": "take the instant as an argument",
    r"rand|srand|random|srandom|[dlm]rand48|getrandom|getentropy|arc4random\w*|randombytes_\w+|"
    r"crypto_(?!\w*seed)\w+_(?:keypair|keygen|random)": "take the randomness or the seed as an argument",
    r"getenv|secure_getenv": "take the setting as an argument",
    r"printf|vprintf|fprintf|vfprintf|puts|fputs|putchar|perror": "return an outcome or a trace value",
    r"fopen|fdopen|freopen|open|openat|socket|connect|bind|listen|accept": "make it an effect for the driver",
    r"sleep|usleep|nanosleep": "make it a deadline",
    r"exit|_exit|_Exit|quick_exit|abort": "return an outcome, or assert what only our own mistake can cause",
}
SECRET_WORDS = {"key", "keys", "secret", "secrets", "tag", "mac"}


def calls(file, names):
    """Calls by plain name: not a member's, and not part of a longer name."""
    return re.finditer(rf"(?<![\w.])(?<!->)({names})\s*\(", file.code)


def check_banned(tree):
    """Nothing that overruns, and no clock, randomness, input or output in pure code."""
    for file in tree.c_files:
        for match in calls(file, "|".join(EVERYWHERE)):
            yield file.finding(file.line_at(match.start()), f"{match[1]} is banned, {EVERYWHERE[match[1]]}")
        if file.is_pure:
            for names, instead in IN_PURE_FOLDERS.items():
                for match in calls(file, names):
                    yield file.finding(file.line_at(match.start()),
                                       f"{match[1]} is banned in {file.folder}/, {instead}")


def arguments(code, start):
    """The arguments of the call whose opening parenthesis stands just before start."""
    depth, result = 0, [""]
    for character in code[start:]:
        if character == ")" and depth == 0:
            break
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            result.append("")
        else:
            result[-1] += character
    return result


def names_a_secret(argument):
    for identifier in re.findall(r"[A-Za-z_]\w*", argument):
        words = set(identifier.lower().split("_"))
        if words & SECRET_WORDS and "public" not in words:
            return identifier
    return None


def check_comparisons(tree):
    """Secrets are compared in constant time."""
    for file in tree.c_files:
        if file.folder not in ("crypto", "protocol"):
            continue
        for match in calls(file, "memcmp|bcmp|strcmp|strncmp"):
            compared = arguments(file.code, match.end())[:2]
            secret = next(filter(None, map(names_a_secret, compared)), None)
            if secret:
                yield file.finding(file.line_at(match.start()),
                                   f"{match[1]} of {secret} takes time that tells, use sodium_memcmp or "
                                   "bytes_equal_constant_time")
