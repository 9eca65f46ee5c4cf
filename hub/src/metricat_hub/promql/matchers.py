"""Label matchers, label names, regular expressions as RE2 defines them, and replacement texts with groups.

Python's `re` accepts a larger syntax than RE2 (look-around, backreferences, possessive quantifiers), and takes
exponential time for some patterns. So the hub matches all patterns with Google's RE2, which takes linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import re2

from metricat_hub.model.errors import InvalidQueryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_hub.model.ports import Matcher

_MAXIMUM_PROGRAM: Final = 8 << 20
_ANY_BYTE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\C")


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MAXIMUM_PROGRAM
    options.dot_nl = True  # as Prometheus compiles patterns: `^(?s:PATTERN)$`
    options.log_errors = False
    return options


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Compile a pattern. Callers must match whole values with `fullmatch`.

    Raises:
        InvalidQueryError: the pattern is not valid in RE2's syntax.
    """
    try:
        if _ANY_BYTE.search(pattern):
            raise _invalid(pattern, r"invalid escape sequence: \C")  # Go's RE2 rejects \C; Google's RE2 accepts it
        return re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0]
        raise _invalid(pattern, reason.decode(errors="replace") if isinstance(reason, bytes) else reason) from error


def _invalid(pattern: str, reason: str) -> InvalidQueryError:
    return InvalidQueryError(
        f"invalid regular expression {pattern!r}: {reason}. Write it in RE2's syntax, which has no look-around,"
        " backreferences or possessive quantifiers."
    )


def predicate(matcher: Matcher) -> Callable[[str], bool]:
    """Return a function that returns whether a label value matches. A missing label has the value "".

    Raises:
        InvalidQueryError: the regular expression is not valid.
    """
    wanted = matcher.value
    match matcher.operator:
        case "=":
            return lambda value: value == wanted
        case "!=":
            return lambda value: value != wanted
        case "=~":
            pattern = compiled(wanted)
            return lambda value: pattern.fullmatch(value) is not None
        case "!~":
            pattern = compiled(wanted)
            return lambda value: pattern.fullmatch(value) is None


def matches_empty(matcher: Matcher) -> bool:
    """Return whether the matcher matches series without the label."""
    return predicate(matcher)("")


def is_label_name(name: str) -> bool:
    """Return whether the text is a valid label name: not empty, valid UTF-8."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def expanded(template: str, match: Any) -> str:
    """Replace `$1`, `${1}`, `$name` and `${name}` in a template by groups of a match, as Go's `Expand` does."""
    parts: list[str] = []
    position = 0
    while (dollar := template.find("$", position)) >= 0:
        parts.append(template[position:dollar])
        name, position = _reference(template, dollar)
        parts.append(_group(match, name) if name else "$")
    return "".join(parts) + template[position:]


def _reference(template: str, dollar: int) -> tuple[str, int]:
    """Return the name after a dollar and the offset behind it; without a name, the offset behind the dollar."""
    start = dollar + 1
    if template.startswith("$", start):
        return "", start + 1
    brace = template.startswith("{", start)
    end = start + brace
    while end < len(template) and (template[end].isalnum() or template[end] == "_"):
        end += 1
    name = template[start + brace : end]
    if not name or (brace and not template.startswith("}", end)):
        return "", start
    return name, end + brace


def _group(match: Any, name: str) -> str:
    try:
        value = match.group(int(name) if name.isdigit() and (name == "0" or name[0] != "0") else name)
    except (IndexError, KeyError, re2.error):
        return ""
    return value or ""
