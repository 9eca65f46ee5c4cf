"""Tokens of a query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from metricat_hub.model.errors import InvalidQueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

TokenKind: TypeAlias = Literal["number", "duration", "string", "name", "symbol", "end"]

_DIGITS = r"[0-9](?:_?[0-9])*"
_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\r\n]+|\#[^\n]*)
    |(?P<duration>(?:[0-9]+(?:ms|[ywdhms]))+)(?![A-Za-z0-9_.])
    |(?P<number>0[xX]_?[0-9a-fA-F](?:_?[0-9a-fA-F])*|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)
        (?![A-Za-z0-9_.])
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<symbol></|>/|=~|!~|==|!=|>=|<=|[-+*/%^@(){{}}\[\],=<>:])
    """,
    re.VERBOSE,
)
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNITS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE: Final = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_MOST_INTEGER: Final = 2**63 - 1
MAXIMUM_DURATION: Final = 9_223_372_036_000
"""The longest duration in milliseconds. Prometheus stores durations as nanoseconds in 63 bits."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its offset in the query."""

    kind: TokenKind
    text: str
    position: int


def place(query: str, position: int) -> str:
    """Return line and column of an offset, such as ``1:15``."""
    line = query.count("\n", 0, position) + 1
    return f"{line}:{position - (query.rfind(chr(10), 0, position) + 1) + 1}"


def invalid(query: str, position: int, message: str) -> InvalidQueryError:
    """Return the error for a query that is invalid at an offset."""
    return InvalidQueryError(f"invalid query at {place(query, position)}: {message}")


def tokenize(query: str) -> list[Token]:
    """Return the tokens of a query, an end token last.

    Raises:
        InvalidQueryError: the query has a character that starts no token.
    """
    return [*_tokens(query), Token("end", "", len(query))]


def _tokens(query: str) -> Iterator[Token]:
    position, brackets = 0, 0
    while position < len(query):
        found = _TOKEN.match(query, position)
        if found is None:
            raise _bad(query, position)
        kind, text = str(found.lastgroup), found[0]
        if kind == "name" and brackets:  # a colon inside brackets separates range and step
            inner = _LABEL_NAME.match(query, position)
            kind, text = ("name", inner[0]) if inner else ("symbol", ":")
        if kind != "space":
            if text[:2] in {"0x", "0X"} and int(text, 16) > _MOST_INTEGER:
                raise invalid(query, position, f"the number {text[:20]}... is above 64 bits. Write for example 1e20.")
            brackets += (text == "[") - (text == "]") if kind == "symbol" else 0
            yield Token(kind, text, position)  # type: ignore[arg-type] # the groups of the pattern are the kinds
        position += len(text)


def _bad(query: str, position: int) -> InvalidQueryError:
    rest = re.match(r"[A-Za-z0-9_.]+|.", query[position:], re.DOTALL)
    text = rest[0] if rest else ""
    if text in {'"', "'", "`"}:
        return invalid(query, position, f"the string is not closed. Add {text}.")
    if text[0].isdigit() or text[0] == ".":
        return invalid(query, position, f"invalid number or duration {text!r}. Write for example 5, 1.5 or 1h30m.")
    return invalid(query, position, f"unexpected character {text!r}. Remove it, or put it in a string.")


def number(text: str) -> float:
    """Return the value of a number token."""
    digits = text.replace("_", "")
    if digits[:2] in {"0x", "0X"}:
        return float(int(digits, 16))
    if re.fullmatch(r"0[0-7]+", digits) and (octal := int(digits, 8)) <= _MOST_INTEGER:  # as Go reads integers
        return float(octal)
    return float(digits)


def milliseconds(text: str) -> int | None:
    """Return a duration token in milliseconds; None if its units are not in descending order, each at most once."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    # 20 digits are above the longest duration in each unit, and Python converts at most some thousands.
    return sum(
        int(count.lstrip("0")[:20] or "0") * unit for count, unit in zip(found.groups(), _UNITS, strict=True) if count
    )


def unquoted(text: str) -> str | None:
    """Return the value of a string token; None if an escape sequence is not valid.

    The value has surrogates for bytes that are not valid UTF-8.
    """
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    parts: list[bytes] = []
    position = 1
    for found in _ESCAPE.finditer(text, 1, len(text) - 1):
        parts.append(text[position : found.start()].encode("utf-8", "surrogateescape"))
        byte, short, long, octal, simple = found.groups()
        if simple is not None:
            if simple not in _SIMPLE or (simple in "'\"" and simple != text[0]):
                return None
            parts.append(bytes([_SIMPLE[simple]]))
        elif byte or octal:
            value = int(byte, 16) if byte else int(octal, 8)
            if value > 255:
                return None
            parts.append(bytes([value]))
        else:
            point = int(short or long, 16)
            if point > 0x10FFFF or 0xD800 <= point < 0xE000:
                return None
            parts.append(chr(point).encode())
        position = found.end()
    parts.append(text[position:-1].encode("utf-8", "surrogateescape"))
    return b"".join(parts).decode("utf-8", "surrogateescape")
