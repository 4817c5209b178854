"""Just enough of C++ (and TypeScript) to check style: text without comments and strings, and the
functions of a file with their length and nesting. A heuristic, made for clang-formatted code."""

import dataclasses
import re

_TOKENS = re.compile(
    r'R"(?P<tag>[^()\\ ]{0,16})\(.*?\)(?P=tag)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'"  # not a digit separator
    r"|//[^\n]*"
    r"|/\*.*?\*/",
    re.DOTALL,
)
_TEMPLATE_LITERAL = re.compile(r"`(?:\\.|[^`\\])*`", re.DOTALL)


def _blank(match):
    """Spaces of the same shape, so that lines and columns stay; quotes stay as an empty string."""
    text = match.group(0)
    blank = re.sub(r"[^\n]", " ", text)
    if text[0] in "\"'`R" and len(text) >= 2:
        return '"' + blank[1:-1] + '"'
    return blank


def strip(text, typescript=False):
    """Replaces comments and the contents of strings by spaces."""
    text = _TOKENS.sub(_blank, text)
    return _TEMPLATE_LITERAL.sub(_blank, text) if typescript else text


@dataclasses.dataclass
class Function:
    name: str
    line: int  # of its opening brace, from 1
    lines: int  # of its body, the closing brace's line included
    nesting: int  # the deepest control block


_CONTAINER = re.compile(r"(^|[;\s>])(namespace|class|struct|union|enum)\b")
_EXTERN_BLOCK = re.compile(r'^extern\s*""?\s*"?\s*$')
_CONTROL = re.compile(
    r"(^|[\s:;)}])(if|for|while|switch|catch)\s*(constexpr\s*)?\(.*\)\s*(\[\[\w+\]\]\s*)?$"
    r"|(^|\s)(else|do|try)\s*(\[\[\w+\]\]\s*)?$",
    re.DOTALL,
)
_LAMBDA = re.compile(
    r"\[[^\[\]]*\]\s*(<[^{}]*>\s*)?"
    r"(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\s*)?"
    r"(mutable\s*|noexcept\s*)*(->\s*[\w:<>&*, ]+)?\s*$",
    re.DOTALL,
)
_SIGNATURE = re.compile(r"([\w:~]+(?:\s*operator\s*\S+|\s*<[^<>]*>)?)\s*\(")
_BODY_TAIL = re.compile(
    r"\)\s*((const|noexcept|override|final|mutable|try|&&?)\s*(\([^()]*\)\s*)?)*"
    r"(->\s*[\w:<>&*,\s()]+?)?\s*$",
    re.DOTALL,
)


def _kind(head, in_function):
    """What the brace after `head` (the text since the last ; { or }) opens."""
    head = re.sub(r"^[ \t]*#.*(?:\\\n.*)*$", "", head, flags=re.MULTILINE).strip()
    if not in_function:
        if _EXTERN_BLOCK.search(head):
            return "container"
        if _CONTAINER.search(head) and not _BODY_TAIL.search(head):
            return "container"
        # A constructor's initializer list may itself hold braces: "Foo() : a_{1}, b_(2) {".
        if _BODY_TAIL.search(head) or re.search(r"\)\s*:[^:].*[)}]\s*$", head, re.DOTALL):
            return "function" if "=" not in _outside_parentheses(head) else "other"
        return "other"
    if _CONTROL.search(head):
        return "control"
    return "lambda" if _LAMBDA.search(head) else "other"


def _outside_parentheses(head):
    head = re.sub(r"operator\s*[^\s(]+", "operator", head)
    depth, kept = 0, []
    for letter in head:
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif depth == 0:
            kept.append(letter)
    return re.sub(r"<[^<>]*>", "", "".join(kept))


def functions(stripped):
    """The functions (and TEST bodies) of a stripped file. A lambda belongs to its function."""
    stack, found, head_start = [], [], 0
    for match in re.finditer(r"[;{}]", stripped):
        place, letter = match.start(), match.group(0)
        if letter == "{":
            head = stripped[head_start:place]
            kind = _kind(head, any(entry["kind"] == "function" for entry in stack))
            entry = {"kind": kind, "place": place, "head": head, "head_start": head_start}
            stack.append(entry)
            if kind == "control":
                owner = next(e for e in reversed(stack) if e["kind"] == "function")
                depth = sum(e["kind"] == "control" for e in stack[stack.index(owner):])
                owner["nesting"] = max(owner.get("nesting", 0), depth)
        elif letter == "}" and stack:
            entry = stack.pop()
            if entry["kind"] == "function":
                found.append(_function(stripped, entry, place))
            if entry["kind"] == "other":
                # An initializer: what follows still belongs to the statement it is part of.
                head_start = entry["head_start"]
                continue
        elif letter == ";" and _inside_parentheses(stripped[head_start:place]):
            continue  # for (a; b; c)
        head_start = match.end()
    return found


def _inside_parentheses(head):
    return head.count("(") > head.count(")")


def _function(stripped, entry, end):
    named = re.search(r"(TEST\w*\([^)]*\))", entry["head"]) or _SIGNATURE.search(entry["head"])
    return Function(
        name=re.sub(r"\s+", " ", named.group(1)) if named else "?",
        line=stripped.count("\n", 0, entry["place"]) + 1,
        lines=stripped.count("\n", entry["place"], end),
        nesting=entry.get("nesting", 0),
    )
