"""Matchers of alerts in Alertmanager's syntax, such as ``severity=~"warning|critical"``.

Two grammars exist: the classic one, and that of Alertmanager 0.27, in which label names may contain any character.
The parser accepts both, as Alertmanager does by default. If a text is valid in both, the classic grammar applies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.model.ports import Matcher
from metricat_hub.promql.matchers import predicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Operator

_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.ASCII | re.DOTALL)
_TOKEN = re.compile(
    r'\s*(?:(?P<operator>=~|=|!=|!~)|(?P<mark>[{},])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<plain>[^\s{}!=~,\\"\'`]+))',
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_NOTHING = (("mark", ""),) * 3
_EXAMPLE = 'write for example severity="critical" or node=~"web-.*"'


class AlertMatchers:
    """A list of matchers. An alert matches if all matchers match; every alert matches an empty list."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        """Compile the matchers; raise ValueError for an invalid regular expression."""
        self.matchers = tuple(sorted(set(matchers), key=lambda one: (one.name, one.value, one.operator)))
        try:
            self._checks = [(one.name, _check(one)) for one in self.matchers]
        except InvalidQueryError as error:
            raise ValueError(str(error)) from None

    def match(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels of an alert match. A missing label has the value ""."""
        return all(check(labels.get(name, "")) for name, check in self._checks)

    @property
    def matches_all(self) -> bool:
        """Whether an alert without labels matches, which means that the matchers select too many alerts."""
        return self.match({})

    def texts(self) -> list[str]:
        """Return each matcher in Alertmanager's syntax."""
        return [written(one) for one in self.matchers]

    def __str__(self) -> str:
        """Return the matchers in Alertmanager's syntax."""
        return f"{{{','.join(self.texts())}}}"

    def __eq__(self, other: object) -> bool:
        """Return whether other matchers are the same."""
        return isinstance(other, AlertMatchers) and self.matchers == other.matchers

    def __hash__(self) -> int:
        """Return the hash of the matchers."""
        return hash(self.matchers)


def parse(texts: Iterable[str]) -> AlertMatchers:
    """Parse texts with one or more matchers each; raise ValueError for an invalid matcher."""
    return AlertMatchers(matcher for text in texts for matcher in _parsed(text))


def equal(labels: Labels | Mapping[str, str]) -> AlertMatchers:
    """Return matchers that require exactly these label values."""
    pairs = labels.items() if hasattr(labels, "items") else labels
    return AlertMatchers(Matcher(name, "=", value) for name, value in pairs)


def written(matcher: Matcher) -> str:
    """Format a matcher in Alertmanager's syntax."""
    value = matcher.value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    name = matcher.name
    if re.search(r"[\s{}!=~,\\\"'`]", name):
        name = '"{}"'.format(name.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\""))
    return f'{name}{matcher.operator}"{value}"'


def _check(matcher: Matcher) -> Callable[[str], bool]:
    if matcher.operator in ("=~", "!~"):  # in Alertmanager, a dot does not match a line feed
        matcher = Matcher(matcher.name, matcher.operator, f"(?-s:{matcher.value})")
    return predicate(matcher)


def _parsed(text: str) -> list[Matcher]:
    try:
        return list(_classic(text))
    except ValueError:
        pass
    try:
        return _current(text)
    except ValueError as error:
        raise ValueError(f"invalid matcher {text[:200]!r}: {error}; {_EXAMPLE}") from None


def _classic(text: str) -> Iterator[Matcher]:
    for part in _split(text.removeprefix("{").removesuffix("}")):
        found = _CLASSIC.fullmatch(part)
        if not found:
            raise ValueError("not a matcher")
        yield Matcher(found[1], _operator(found[2]), _classic_value(found[3]))


def _split(text: str) -> Iterator[str]:
    """Yield the parts between commas outside of quotes. An empty part at the end is not one."""
    part, quoted, escaped = "", False, False
    for character in text:
        if character == "," and not quoted:
            yield part
            part = ""
            continue
        if character == '"':
            quoted, escaped = quoted != (not escaped), False
        else:
            escaped = character == "\\" and not escaped
        part += character
    if part.strip():
        yield part


def _classic_value(text: str) -> str:
    quoted = text.startswith('"')
    if quoted:
        if len(text) < 2 or not text.endswith('"') or _ends_escaped(text[:-1]):
            raise ValueError("a quote is missing")
        text = text[1:-1]
    if re.search(r'(?<!\\)(?:\\\\)*"', text):
        raise ValueError("a quote is not escaped")
    return re.sub(r'\\([n"\\])', lambda found: "\n" if found[1] == "n" else found[1], text)


def _ends_escaped(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _current(text: str) -> list[Matcher]:
    tokens = list(_tokens(text))
    braces = tokens[:1] == [("mark", "{")]
    if braces != (tokens[-1:] == [("mark", "}")]):
        raise ValueError("an opening or a closing brace is missing")
    if braces:
        tokens = tokens[1:-1]
    found = []
    while tokens:
        (name, operator, value), tokens = (*tokens, *_NOTHING)[:3], tokens[3:]
        if name[0] not in ("quoted", "plain") or operator[0] != "operator" or value[0] not in ("quoted", "plain"):
            raise ValueError("expected a label name, one of = != =~ !~, and a value")
        found.append(Matcher(_unquoted(name), _operator(operator[1]), _unquoted(value)))
        if tokens and tokens.pop(0) != ("mark", ","):
            raise ValueError("expected a comma after a matcher")
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or token.lastgroup is None:
            raise ValueError(f"unexpected {text[position : position + 20]!r}")
        yield token.lastgroup, token[token.lastgroup]
        position = token.end()


def _unquoted(token: tuple[str, str]) -> str:
    kind, text = token
    if kind == "plain":
        return text
    return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    if number := found[1] or found[2] or found[3]:
        return chr(int(number, 16))
    if found[4] not in _ESCAPES:
        raise ValueError(f"invalid escape sequence {found[0]}")
    return _ESCAPES[found[4]]


def _operator(text: str) -> Operator:
    operators: tuple[Operator, ...] = ("=", "!=", "=~", "!~")
    return next(one for one in operators if one == text)
