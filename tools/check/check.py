#!/usr/bin/env python3
"""Checks the rules of style that a machine can check, over the whole tree or the files named.

Prints "file:line: [rule] message" for each fault and exits with 1 when there is one. A rule may be
broken where the code is plainly better for it: write "check: allow(<rule>) <why>" in a comment on
that line or the one above.
"""

import os
import pathlib
import subprocess
import sys

import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUFFIXES = (".cc", ".h", ".cpp", ".hpp", ".cxx", ".hh", ".ts", ".mjs", ".py", ".sh", ".cmake",
            "CMakeLists.txt")
SKIPPED_FOLDERS = {".git", "build", "data", "node_modules"}


def source_files():
    """What is in git or about to be; without git, everything but what is made."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                             capture_output=True, text=True)
    if listing.returncode == 0:
        paths = listing.stdout.splitlines()
    else:
        paths = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            paths += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return sorted(path for path in paths if path.endswith(SUFFIXES) and (ROOT / path).is_file())


def check_format(paths):
    """The first place of each file that clang-format would change."""
    if not paths:
        return []
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], cwd=ROOT,
                            capture_output=True, text=True)
    if result.returncode == 0:
        return []
    first = {}
    for line in result.stderr.splitlines():
        if " error: code should be clang-formatted" in line:
            path, number, _ = line.split(":", 2)
            first.setdefault(path, int(number))
    faults = [(path, line, "format", "run `make format`") for path, line in first.items()]
    return faults or [("clang-format", 0, "format", result.stderr.strip()[:500])]


def main(arguments):
    layers = rules.parse_table((ROOT / "tools/layers.txt").read_text())
    third_party = rules.parse_table((ROOT / "tools/third_party.txt").read_text())
    paths = [os.path.relpath(os.path.abspath(path), ROOT) for path in arguments] or source_files()

    faults = [("tools/layers.txt", *fault) for fault in rules.check_layer_table(layers)]
    for path in paths:
        text = (ROOT / path).read_text(encoding="utf-8")
        faults += [(path, *fault) for fault in rules.check_file(path, text, layers, third_party)]
    faults += check_format([path for path in paths if rules.is_cpp(path)])

    for path, line, rule, message in faults:
        print(f"{path}:{line}: [{rule}] {message}")
    print(f"{len(paths)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
