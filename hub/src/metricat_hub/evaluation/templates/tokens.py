"""Tokens of a template: texts, and the tokens of its actions. For the grammar, see pkg.go.dev/text/template."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.evaluation.templates.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["field", "variable", "word", "string", "number", "symbol"]
_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<character>'(?:[^'\\\n]|\\.)+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
    |(?P<field>\.[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<symbol>:=|[=|(),.])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an action. `spaced`: whether white space precedes it."""

    kind: Kind
    text: str
    spaced: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """The tokens between `{{` and `}}`, and the number of the line on which they begin."""

    tokens: tuple[Token, ...]
    line: int


def split(source: str) -> Iterator[str | Action]:
    """Yield the texts and actions of a template, without comments. `{{-` and `-}}` trim the text next to them.

    Raises:
        TemplateError: an action, a comment or a string does not end, or has a character that no token begins with.
    """
    position, trim = 0, False
    while position < len(source):
        start = source.find("{{", position)
        text = source[position : len(source) if start < 0 else start]
        text = text.lstrip(_SPACE) if trim else text
        trims_before = start >= 0 and source[start + 2 : start + 3] == "-" and source[start + 3 : start + 4] in _SPACE
        if text := text.rstrip(_SPACE) if trims_before and source[start + 3 : start + 4] else text:
            yield text
        if start < 0:
            return
        line = source.count("\n", 0, start) + 1
        inner = start + (3 if trims_before else 2)
        end, trim, tokens = _action(source, inner, line)
        if tokens is not None:
            yield Action(tokens, line)
        position = end


def _action(source: str, position: int, line: int) -> tuple[int, bool, tuple[Token, ...] | None]:
    """Return where an action ends, whether it trims the text after it, and its tokens; no tokens for a comment."""
    content = position + len(source[position:]) - len(source[position:].lstrip(_SPACE))
    if source.startswith("/*", content):
        end = re.compile(r"\*/(?:\s+-)?\}\}").search(source, content)
        if not end:
            raise TemplateError(f"line {line}: the comment does not end; write */ and }}}} after it")
        return end.end(), end[0] != "*/}}", None
    tokens: list[Token] = []
    spaced = False
    while position < len(source):
        if source.startswith("}}", position):
            return position + 2, False, tuple(tokens)
        if spaced and source.startswith("-}}", position):
            return position + 3, True, tuple(tokens)
        found = _TOKEN.match(source, position)
        if not found:
            raise TemplateError(f"line {line}: unexpected {source[position : position + 10]!r} in an action")
        position = found.end()
        spaced = _append(tokens, found, line, spaced=spaced)
    raise TemplateError(f"line {line}: the action does not end; write }}}} after it")


def _append(tokens: list[Token], found: re.Match[str], line: int, *, spaced: bool) -> bool:
    """Append the token of a match; return whether it is white space."""
    match found.lastgroup:
        case "space":
            return True
        case "character":
            raise TemplateError(f"line {line}: character constants such as {found[0]} are not supported; use a string")
        case "string" | "number" | "field" | "variable" | "word" | "symbol" as kind:
            tokens.append(Token(kind, found[0], spaced))
    return False
