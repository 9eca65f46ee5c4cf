"""The functions of templates: those of Prometheus' alerting rules, and those of Go's text/template.

Prometheus documents its functions at prometheus.io/docs/prometheus/latest/configuration/template_reference.
"""

from __future__ import annotations

import html
import ipaddress
import math
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import re2

from metricat_hub.evaluation.templates import go_format
from metricat_hub.evaluation.templates.errors import TemplateError
from metricat_hub.model.durations import parse_duration

_PREFIXES = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL_PREFIXES = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY_PREFIXES = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_WORD = re.compile(r"\w+(?:(?<=[^\W\d_])[.':\u2019](?=[^\W\d_])\w+)*")
"""A word as Unicode defines it (unicode.org/reports/tr29): a point or apostrophe between letters does not end it."""
_MOST_SECONDS = 2**63 / 1e9


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A sample of the result of `query`."""

    labels: Mapping[str, str]
    value: float


Query: TypeAlias = Callable[[str], Sequence[QueryResult]]


def _no_query(_: str) -> Sequence[QueryResult]:
    raise TemplateError("the function query is not available here")


@dataclass(frozen=True, slots=True)
class TemplateData:
    """The data that a template of an alert can read. `now` is the time of the evaluation in seconds since 1970."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    now: float = 0.0
    query: Query = _no_query


Function: TypeAlias = Callable[..., object]


def number(value: object) -> float:
    """Convert a value to a number; raise `TemplateError` if it is not a number."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value if "_" not in value and value == value.strip() else "none")
        except ValueError:
            raise TemplateError(f"{value!r} is not a number") from None
    raise TemplateError(f"a {go_format.kind(value)} is not a number")


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"expected a string, not a {go_format.kind(value)}")
    return value


def _samples(value: object) -> list[QueryResult]:
    if not isinstance(value, list) or not all(isinstance(one, QueryResult) for one in value):
        raise TemplateError(f"expected the result of query, not a {go_format.kind(value)}")
    return value


def _sample(value: object) -> QueryResult:
    if not isinstance(value, QueryResult):
        raise TemplateError(f"expected a sample, not a {go_format.kind(value)}; use first or range")
    return value


# Prometheus' functions


def _first(samples: object) -> QueryResult:
    found = _samples(samples)
    if not found:
        raise TemplateError("the argument is an empty result; use first inside {{ with query QUERY }}")
    return found[0]


def _sort_by_label(label: object, samples: object) -> list[QueryResult]:
    name = _string(label)
    return sorted(_samples(samples), key=lambda one: one.labels.get(name, ""))


def _humanize(value: object) -> str:
    shown = number(value)
    if shown == 0 or not math.isfinite(shown):
        return go_format.significant(shown, 4)
    prefix = ""
    if abs(shown) >= 1:
        for one in _PREFIXES:
            if abs(shown) < 1000:
                break
            prefix, shown = one, shown / 1000
    else:
        prefix, shown = _small(shown)
    return f"{go_format.significant(shown, 4)}{prefix}"


def _small(value: float) -> tuple[str, float]:
    """Return a number below 1 as a prefix and a number of at least 1 where the prefixes suffice."""
    prefix = ""
    for one in _SMALL_PREFIXES:
        if abs(value) >= 1:
            break
        prefix, value = one, value * 1000
    return prefix, value


def _humanize1024(value: object) -> str:
    shown = number(value)
    prefix = ""
    if abs(shown) > 1 and math.isfinite(shown):
        for one in _BINARY_PREFIXES:
            if abs(shown) < 1024:
                break
            prefix, shown = one, shown / 1024
    return f"{go_format.significant(shown, 4)}{prefix}"


def _humanize_duration(value: object) -> str:
    seconds = number(value)
    if seconds == 0 or not math.isfinite(seconds):
        return go_format.significant(seconds, 4) + ("s" if seconds == 0 else "")
    if abs(seconds) < 1:
        prefix, seconds = _small(seconds)
        return f"{go_format.significant(seconds, 4)}{prefix}s"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {whole}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {whole}s"
    return f"{sign}{minutes}m {whole}s" if minutes else f"{sign}{go_format.significant(seconds, 4)}s"


def _to_time(value: object) -> datetime:
    seconds = number(value)
    if not math.isfinite(seconds) or abs(seconds) > _MOST_SECONDS:
        raise TemplateError(f"{go_format.text(seconds)} is not a time in seconds since 1970")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(seconds * 1e9) // 1_000_000)


def _humanize_timestamp(value: object) -> str:
    seconds = number(value)
    return go_format.text(_to_time(seconds)) if math.isfinite(seconds) else go_format.significant(seconds, 4)


def _replace_all(pattern: object, replacement: object, text: object) -> str:
    try:
        compiled = re2.compile(_string(pattern))
        return str(compiled.sub(_python_replacement(_string(replacement)), _string(text)))
    except re2.error as error:
        raise TemplateError(f"invalid regular expression {pattern!r}: {error}") from None


def _python_replacement(replacement: str) -> Callable[[re.Match[str]], str]:
    """Return a function that expands `$1`, `${1}` and `${name}` as Go does; a group that is missing is empty."""

    def expand(match: re.Match[str]) -> str:
        def group(found: re.Match[str]) -> str:
            if found[0] == "$$":
                return "$"
            name = found[1] or found[2]
            try:
                return match.group(int(name) if name.isdigit() else name) or ""
            except (IndexError, KeyError):
                return ""

        return re.sub(r"\$\$|\$(?:\{(\w+)\}|(\w+))", group, replacement)

    return expand


def _match(pattern: object, text: object) -> bool:
    try:
        return bool(re2.search(_string(pattern), _string(text)))
    except re2.error as error:
        raise TemplateError(f"invalid regular expression {pattern!r}: {error}") from None


def _split_host(host_port: str) -> tuple[str, str] | None:
    """Return host and port; None if the text has no port."""
    host, separator, port = host_port.rpartition(":")
    if not separator:
        return None
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    return None if ":" in host or "[" in host or "]" in host else (host, port)


def _strip_port(value: object) -> str:
    host_port = _string(value)
    found = _split_host(host_port)
    return found[0] if found else host_port


def _strip_domain(value: object) -> str:
    host_port = _string(value)
    host, port = _split_host(host_port) or (host_port, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.partition(".")[0]
        return f"{name}:{port}" if port else name
    return host_port


def _title(value: object) -> str:
    return _WORD.sub(lambda found: found[0][0].upper() + found[0][1:], _string(value))


def _link(tab: int) -> Callable[[object], str]:
    def link(expression: object) -> str:
        query = urllib.parse.quote_plus(_string(expression))
        return f"/graph?g0.expr={query}&g0.tab={tab}"

    return link


def _parse_duration(value: object) -> float:
    text = _string(value)
    try:
        return (-parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)) / 1000
    except ValueError as error:
        raise TemplateError(str(error)) from None


# Go's functions


def _same_type(first: object, second: object) -> None:
    """Raise `TemplateError` for values of different types, as Go does, and for values without an order."""
    kinds = {go_format.kind(first), go_format.kind(second)}
    if len(kinds) > 1 or not isinstance(first, str | int | float):
        hint = "; write a float constant such as 80.0" if kinds == {"int", "float64"} else ""
        raise TemplateError(f"incompatible types for comparison: {' and '.join(sorted(kinds))}{hint}")


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise TemplateError("eq needs two values")
    for other in others:
        _same_type(first, other)
    return any(first == other for other in others)  # NaN equals nothing


def _less(first: object, second: object) -> bool:
    _same_type(first, second)
    if isinstance(first, str) and isinstance(second, str):
        return first < second
    return isinstance(first, int | float) and isinstance(second, int | float) and first < second


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    raise TemplateError(f"a {go_format.kind(value)} has no length")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(_string(key), "")
        elif isinstance(value, list) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise TemplateError(f"index {key} is out of range")
            value = value[key]
        else:
            raise TemplateError(f"a {go_format.kind(value)} cannot be indexed")
    return value


def _print(*values: object) -> str:
    parts: list[str] = []
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            parts.append(" ")
        parts.append(go_format.text(value))
    return "".join(parts)


def _println(*values: object) -> str:
    return " ".join(go_format.text(value) for value in values) + "\n"


def truth(value: object) -> bool:
    """Return whether `if` treats a value as true: it is not zero, empty, false or nil."""
    return value if isinstance(value, bool) else isinstance(value, QueryResult | datetime) or bool(value)


FUNCTIONS: Mapping[str, Function] = {
    "args": lambda *values: {f"arg{at}": value for at, value in enumerate(values)},
    "eq": _equal,
    "first": _first,
    "ge": lambda first, second: not _less(first, second),
    "graphLink": _link(0),
    "gt": lambda first, second: not _less(first, second) and not _equal(first, second),
    "html": lambda *values: html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": lambda value: f"{go_format.significant(number(value) * 100, 4)}%",
    "humanizeTimestamp": _humanize_timestamp,
    "index": _index,
    "label": lambda name, sample: _sample(sample).labels.get(_string(name), ""),
    "le": lambda first, second: _less(first, second) or _equal(first, second),
    "len": _length,
    "lt": _less,
    "match": _match,
    "ne": lambda first, second: not _equal(first, second),
    "not": lambda value: not truth(value),
    "parseDuration": _parse_duration,
    "print": _print,
    "printf": lambda form, *values: go_format.printf(_string(form), values),
    "println": _println,
    "reReplaceAll": _replace_all,
    "safeHtml": _string,
    "sortByLabel": _sort_by_label,
    "stripDomain": _strip_domain,
    "stripPort": _strip_port,
    "strvalue": lambda sample: _sample(sample).labels.get("__value__", ""),
    "tableLink": _link(1),
    "title": _title,
    "toDuration": lambda value: timedelta(seconds=number(value)),
    "toLower": lambda value: _string(value).lower(),
    "toTime": _to_time,
    "toUpper": lambda value: _string(value).upper(),
    "urlQueryEscape": lambda value: urllib.parse.quote_plus(_string(value)),
    "urlquery": lambda *values: urllib.parse.quote_plus(_print(*values)),
    "value": lambda sample: _sample(sample).value,
}
"""Functions that depend only on their arguments."""
OF_DATA: Mapping[str, Callable[[TemplateData], Function]] = {
    "externalURL": lambda data: lambda: data.external_url,
    "now": lambda data: lambda: data.now,
    "pathPrefix": lambda data: lambda: urllib.parse.urlsplit(data.external_url).path,
    "query": lambda data: lambda text: list(data.query(_string(text))),
}
"""Functions that read the data of the template."""
LAZY = frozenset(("and", "or"))
"""Functions that evaluate an argument only if the previous arguments do not determine the result."""
NAMES = frozenset((*FUNCTIONS, *OF_DATA, *LAZY))
