"""The rules of style that a machine can check. Each gives (line, rule, message) for a file."""

import re

import cpp_source

MAX_LINES = {".cc": 500, ".h": 250}
MAX_FUNCTION_LINES = 70
MAX_NESTING = 4
MAX_COLUMNS = 100
MAX_SCRIPT_COLUMNS = 120  # TypeScript and JavaScript, which no formatter wraps: aim at 100

# Where the machine's own clock and randomness enter; everything else is given them.
IMPURE_LAYERS = {"loop", "app"}
IMPURE_FILES = {"src/base/siphash.cc", "src/crypto/system_random.cc"}
_IMPURE = re.compile(
    r"_clock::now\b|\b(?:sleep_for|sleep_until|usleep|nanosleep|getrandom|random_device|rand|srand|"
    r"random_shuffle|clock_gettime|gettimeofday|RAND_bytes|localtime|arc4random)\b(?=\s*[({]|\s+\w)"
    r"|\bstd::time\s*\("
)
_INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
_ANY = re.compile(r"(?<![.\w$])any(?!\s*[(:]|[\w$])")
_TS_ESCAPE = re.compile(r"@ts-(?:ignore|nocheck)\b")
# Folders of the system's own headers: POSIX, Linux, and the compiler.
SYSTEM_FOLDERS = {"sys", "net", "netinet", "arpa", "linux", "asm"}


def _line_of(text, place):
    return text.count("\n", 0, place) + 1


def is_cpp(path):
    return path.endswith((".cc", ".h"))


def is_test(path):
    return path.endswith("_test.cc") or path.startswith("tests/")


def layer_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def parse_table(text):
    """Lines "<name>: <words>" with comments, as a dictionary of lists, in order."""
    table = {}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            name, _, words = line.partition(":")
            table[name.strip()] = words.split()
    return table


def check_layer_table(layers):
    """The table's own order: a layer may use only those above it, so that no circle can be."""
    above = []
    for name, uses in layers.items():
        for used in uses:
            if used != "*" and used not in above and not _acyclic(name, used, layers):
                yield 1, "layers", f"{name} uses {used}, which uses {name}, or is unknown"
        above.append(name)


def _acyclic(name, used, layers, seen=()):
    if used == name or used not in layers or used in seen:
        return False
    return all(_acyclic(name, next_, layers, (*seen, used)) for next_ in layers[used])


def check_layers(path, text, layers):
    """src/<layer> includes only the layers that the table gives it."""
    layer = layer_of(path)
    if layer is None:
        return
    if layer not in layers:
        yield 1, "layers", f"src/{layer} is not in tools/layers.txt"
        return
    allowed = {layer, *layers[layer]}
    for match in _INCLUDE.finditer(text):
        if match.group(1) != '"':
            continue
        line = _line_of(text, match.start(1))
        folder, slash, _ = match.group(2).partition("/")
        if not slash:
            yield line, "layers", f'write the whole path: "{layer}/.../{match.group(2)}"'
        elif folder in layers and folder not in allowed and "*" not in allowed:
            yield line, "layers", f"{layer} may not include {folder} (tools/layers.txt)"
        elif folder not in layers and not is_test(path):
            yield line, "layers", f'"{match.group(2)}" is in no layer'


def check_layer_build(path, text, layers):
    """What a layer links is what it may include."""
    for match in re.finditer(r"kollator_layer\((\w+)([^)]*)\)", text):
        uses = re.search(r"\bUSES\s+((?:[a-z_]+\s*)+)", match.group(2))
        allowed = layers.get(match.group(1), [])
        for used in uses.group(1).split() if uses else []:
            if used not in allowed and "*" not in allowed:
                line = _line_of(text, match.start())
                yield line, "layers", f"{match.group(1)} may not use {used} (tools/layers.txt)"


def check_third_party(path, text, third_party):
    """A library's headers appear only in the layer that wraps it."""
    layer = layer_of(path)
    if layer is None or is_test(path):
        return
    for match in _INCLUDE.finditer(text):
        if match.group(1) != "<":
            continue
        header, line = match.group(2), _line_of(text, match.start(1))
        folder = header.split("/")[0]
        places = third_party.get(header, third_party.get(folder + "/"))
        if places is None:
            if ("/" in header and folder not in SYSTEM_FOLDERS) or header.endswith(".hpp"):
                yield line, "third-party", f"<{header}> is not in tools/third_party.txt"
        elif not any(place == "*" or path.startswith(f"src/{place}/") for place in places):
            yield line, "third-party", f"<{header}> belongs in {' '.join(places)} only"


def check_size(path, text):
    limit = MAX_LINES[path[path.rindex("."):]]
    lines = text.count("\n")
    if lines > limit:
        yield 1, "file-size", f"{lines} lines; at most {limit}"


def check_functions(path, text):
    for function in cpp_source.functions(cpp_source.strip(text)):
        if function.lines > MAX_FUNCTION_LINES:
            message = f"{function.name} has {function.lines} lines; at most {MAX_FUNCTION_LINES}"
            yield function.line, "function-size", message
        if function.nesting > MAX_NESTING:
            message = f"{function.name} nests {function.nesting} deep; at most {MAX_NESTING}"
            yield function.line, "nesting", message


def check_columns(path, text):
    limit = MAX_SCRIPT_COLUMNS if path.endswith((".ts", ".mjs")) else MAX_COLUMNS
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > limit and not re.search(r"https?://\S{60}", line):
            yield number, "columns", f"{len(line)} columns; at most {limit}"


def check_name(path, text):
    name = path.split("/")[-1]
    if not re.fullmatch(r"[a-z0-9]+(?:_[a-z0-9]+)*\.(?:cc|h)", name):
        yield 1, "file-name", f"{name}: snake_case, with .h, .cc or _test.cc"
    elif name.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 1, "file-name", "a header begins with #pragma once"


def check_purity(path, text):
    """Time, randomness and sleep come from outside."""
    layer = layer_of(path)
    if layer is None or layer in IMPURE_LAYERS or path in IMPURE_FILES or is_test(path):
        return
    stripped = cpp_source.strip(text)
    for match in _IMPURE.finditer(stripped):
        message = f"{match.group(0).strip()}: take a Clock, Random or timer instead"
        yield _line_of(stripped, match.start()), "purity", message


def check_typescript(path, text):
    stripped = cpp_source.strip(text, typescript=True)
    for match in _ANY.finditer(stripped):
        yield _line_of(stripped, match.start()), "any", "no `any`: say what it is, or `unknown`"
    for match in _TS_ESCAPE.finditer(text):
        yield _line_of(text, match.start()), "any", f"no {match.group(0)}"


_ALLOWANCE = re.compile(r"check: allow\(([a-z-]+)\)[: ]+\S.{8}")
WHOLE_FILE_RULES = {"file-size", "file-name"}
ALLOWANCE_HEAD_LINES = 20


def without_allowed(text, findings):
    """Drops what a comment "check: allow(<rule>) <why>" excuses: on the line, or the one above; for
    a rule on the whole file, near its beginning."""
    lines = text.splitlines()
    for line, rule, message in findings:
        whole = rule in WHOLE_FILE_RULES
        near = lines[:ALLOWANCE_HEAD_LINES] if whole else lines[max(0, line - 2): line]
        if rule not in {name for text_ in near for name in _ALLOWANCE.findall(text_)}:
            yield line, rule, message


def check_file(path, text, layers, third_party):
    """All findings of one file, by its kind and place; `path` is relative to the root."""
    findings = []
    if is_cpp(path):
        findings += check_layers(path, text, layers)
        findings += check_third_party(path, text, third_party)
        findings += check_size(path, text)
        findings += check_functions(path, text)
        findings += check_name(path, text)
        findings += check_purity(path, text)
    elif path.endswith((".cpp", ".hpp", ".cxx", ".hh")):
        findings += check_name(path, text)
    elif path.endswith("CMakeLists.txt"):
        findings += check_layer_build(path, text, layers)
    elif path.endswith(".ts"):
        findings += check_typescript(path, text)
    if path.endswith((".cc", ".h", ".ts", ".mjs", ".py", ".sh")):
        findings += check_columns(path, text)
    return list(without_allowed(text, findings))
