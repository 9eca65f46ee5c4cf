"""Regular expressions in the syntax of Go's `regexp` package (RE2), as relabelling and PromQL use them. Pure.

Python's `re` evaluates them after a translation. The translation rejects what RE2 does not have (references to groups,
look-around), so that an expression works in Prometheus and here, or in neither.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MOST_REPETITIONS = 1000
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\\t\\n\\f\\r "}
"""RE2's classes contain ASCII only."""
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_GROUP = re.compile(r"\(\?(?:P?<(?P<name>\w+)>|(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<end>[:)]))", re.ASCII)
_ESCAPE = re.compile(
    r"\\(?:x\{(?P<code>[0-9A-Fa-f]{1,6})\}|(?P<two>x[0-9A-Fa-f]{2})|(?P<octal>0[0-7]{0,2})|(?P<one>.))", re.DOTALL
)
_CONTROLS = {char: f"\\{char}" for char in "afnrtv"}
_ESCAPES_IN_CLASS = {**_CONTROLS, **_CLASSES}
_ESCAPES = {
    **_CONTROLS,
    **{char: f"[{members}]" for char, members in _CLASSES.items()},
    **{char.upper(): f"[^{members}]" for char, members in _CLASSES.items()},
    "b": r"(?a:\b)",
    "B": r"(?a:\B)",
    "A": r"\A",
    "z": r"\Z",
}


class RegexError(ValueError):
    """An expression that RE2 rejects, or that cannot be translated. The message names the part."""


@lru_cache(maxsize=1024)
def compile_anchored(pattern: str) -> re.Pattern[str]:
    """Return the expression; use its `fullmatch`. A dot also matches a line break, as in Prometheus.

    Raises:
        RegexError: the expression is not valid.
    """
    try:
        return re.compile(_Translation(pattern).text(), re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise RegexError(f"invalid regular expression {pattern!r}: {error}") from None


class _Translation:
    """The translation of one expression."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = []
        self._open: list[list[str]] = [[]]
        """For each open group, the flags that hold up to its end, each written as a group of its own."""
        self._multiline = [False]

    def text(self) -> str:
        """Return the expression in Python's syntax."""
        while self._at < len(self._pattern):
            self._step(self._pattern[self._at])
        if len(self._open) > 1:
            raise self._error("missing )")
        return "".join(self._out) + ")" * len(self._open[0])

    def _step(self, char: str) -> None:
        if char == "\\":
            self._escape()
        elif char == "[":
            self._class()
        elif char == "(":
            self._group()
        elif char == ")":
            if len(self._open) == 1:
                raise self._error("unexpected )")
            self._multiline.pop()
            self._emit(")" * (1 + len(self._open.pop())), 1)
        elif char == "|":
            self._emit(")" * len(self._open[-1]) + "|" + "".join(self._open[-1]), 1)
        elif char == "$":
            self._emit(r"(?=\n|\Z)" if self._multiline[-1] else r"\Z", 1)
        elif char == "^":
            self._emit(r"(?:(?<=\n)|\A)" if self._multiline[-1] else r"\A", 1)
        elif char in "*+?{":
            self._repetition(char)
        else:
            self._emit(char, 1)

    def _emit(self, text: str, length: int) -> None:
        self._out.append(text)
        self._at += length

    def _error(self, why: str) -> RegexError:
        return RegexError(f"invalid regular expression {self._pattern!r}: {why} at character {self._at + 1}")

    def _repetition(self, char: str) -> None:
        if char == "{":
            found = _REPEAT.match(self._pattern, self._at)
            if not found:
                self._emit("\\{", 1)
                return
            if max(int(number or 0) for number in found.groups()) > _MOST_REPETITIONS:
                raise self._error(f"more than {_MOST_REPETITIONS} repetitions")
            self._emit(found[0], len(found[0]))
        else:
            self._emit(char, 1)
        follows = self._pattern[self._at : self._at + 1]
        if follows == "?":
            self._emit("?", 1)
            follows = self._pattern[self._at : self._at + 1]
        if (follows and follows in "*+?") or _REPEAT.match(self._pattern, self._at):
            raise self._error(f"bad repetition operator {follows}")

    def _group(self) -> None:
        if not self._pattern.startswith("(?", self._at):
            self._multiline.append(self._multiline[-1])
            self._open.append([])
            self._emit("(", 1)
            return
        found = _GROUP.match(self._pattern, self._at)
        if not found or (found["flags"] == "" and found["end"] == ")"):
            raise self._error("RE2 has no group of this kind")
        if found["name"]:
            self._multiline.append(self._multiline[-1])
            self._open.append([])
            self._emit(f"(?P<{found['name']}>", len(found[0]))
            return
        on, _, off = found["flags"].partition("-")
        if "U" in found["flags"]:
            raise self._error("the flag U is not supported")
        multiline = (self._multiline[-1] or "m" in on) and "m" not in off
        on, off = on.replace("m", ""), off.replace("m", "")
        flags = f"(?{on}{f'-{off}' if off else ''}:"
        if found["end"] == ":":
            self._multiline.append(multiline)
            self._open.append([])
        else:
            self._multiline[-1] = multiline
            self._open[-1].append(flags)
        self._emit(flags, len(found[0]))

    def _escape(self) -> None:
        if self._pattern.startswith(r"\Q", self._at):
            literal, end, _ = self._pattern[self._at + 2 :].partition(r"\E")
            self._emit(re.escape(literal), 2 + len(literal) + len(end))
            return
        found = _ESCAPE.match(self._pattern, self._at)
        if not found:
            raise self._error("a \\ without a character")
        self._emit(self._escaped(found, within_class=False), len(found[0]))

    def _escaped(self, found: re.Match[str], *, within_class: bool) -> str:
        if found["code"]:
            if int(found["code"], 16) > 0x10FFFF:
                raise self._error("a code above 10FFFF")
            return f"\\U{int(found['code'], 16):08x}"
        if found["two"] or found["octal"]:
            return found[0] if found["two"] else f"\\x{int(found['octal'], 8):02x}"
        char = str(found["one"])
        known = _ESCAPES_IN_CLASS if within_class else _ESCAPES
        if char not in known and char.isascii() and char.isalnum():
            raise self._error(f"the escape \\{char} is not supported")
        return known.get(char) or re.escape(char)

    def _class(self) -> None:
        pattern, start = self._pattern, self._at
        out = ["["]
        self._at += 1
        if pattern.startswith("^", self._at):
            out.append("^")
            self._at += 1
        first = True
        while first or not pattern.startswith("]", self._at):
            first = False
            if self._at >= len(pattern):
                self._at = start
                raise self._error("missing ]")
            if pattern.startswith("[:", self._at) and (end := pattern.find(":]", self._at)) >= 0:
                name = pattern[self._at + 2 : end]
                if name not in _POSIX:
                    raise self._error(f"the class [:{name}:] is not supported")
                out.append(_POSIX[name])
                self._at = end + 2
            elif pattern[self._at] == "\\":
                if not (found := _ESCAPE.match(pattern, self._at)):
                    raise self._error("a \\ without a character")
                out.append(self._escaped(found, within_class=True))
                self._at += len(found[0])
            else:
                out.append("\\" * (pattern[self._at] in "[]&~|^") + pattern[self._at])
                self._at += 1
        self._emit("".join(out) + "]", 1)
