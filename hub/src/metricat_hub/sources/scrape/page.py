"""Parsers of the text format 0.0.4 and of OpenMetrics 1.0, over bytes. Pure.

A page is the body of a scrape response. The parsers accept and reject the same pages as Prometheus 3, even where it
deviates from the specifications: one invalid line fails the whole page. `series_cache` calls them for lines that it has
not seen before.

Repeated characters are possessive, and alternatives begin with different characters, so a hostile page takes only
linear time. Repeated groups with alternatives are not possessive: Python before 3.11.5 matches them wrongly
(https://github.com/python/cpython/issues/106052), and Debian 12 has 3.11.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, isinf, isnan
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_hub.model.metadata import MetricType

_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL = rb"[a-zA-Z_][a-zA-Z0-9_]*+"
_QUOTED = rb'"[^\\"]*+(?:\\[^\n][^\\"]*+)*+"'
_QUOTED_LINE = rb'"[^\\"\n]*+(?:\\[^\n][^\\"\n]*+)*+"'
_S = rb"[ \t]*+"
_REPEATED = rb"{0,65535}"
"""The most labels of a series. Each repetition needs some 200 bytes of memory while the line is matched."""

_TEXT_PAIR = rb"(?:" + _LABEL + rb"|" + _QUOTED + rb")" + _S + rb"=" + _S + _QUOTED + _S + rb",?+" + _S
_TEXT_LABELS = (
    rb"\{" + _S + rb"(?:" + _QUOTED + _S + rb"(?:," + _S + rb"|(?=\}))|" + _TEXT_PAIR + rb")" + _REPEATED + rb"\}"
)
_TEXT_SAMPLE = re.compile(
    rb"(" + _S + rb"(?:" + _NAME + rb"(?:" + _S + _TEXT_LABELS + rb")?|" + _TEXT_LABELS + rb"))"
    + _S + rb"([^{ \t\n]++)" + _S + rb"(?:([0-9]++)" + _S + rb")?\n"
)  # fmt: skip
_TEXT_META = re.compile(_S + rb"#[ \t]++(HELP|TYPE)[ \t]++")
_TEXT_META_REST = re.compile(rb"(" + _NAME + rb"|" + _QUOTED + rb")([^\n]*+)\n")
_TEXT_SKIPPED = re.compile(_S + rb"(?:#[^\n]*+)?\n")

_OM_LABELS = (
    rb"\{(?:" + _QUOTED + rb"(?:,|(?=\}))"
    rb"|(?:" + _LABEL + rb"|" + _QUOTED + rb")=" + _QUOTED_LINE + rb"(?:,|(?=\})))" + _REPEATED + rb"\}"
)
_OM_EXEMPLAR = (
    rb" # (\{(?:(?:" + _LABEL + rb"|" + _QUOTED_LINE + rb")=" + _QUOTED_LINE + rb"(?:,|(?=\})))" + _REPEATED + rb"\})"
    rb" ([^ \n]++)(?: ([^ \n]++))?"
)
_OM_SAMPLE = re.compile(
    rb"(" + _NAME + rb"(?:" + _OM_LABELS + rb")?|" + _OM_LABELS + rb")"
    rb" ([^ \n]++)(?:(?! # \{) ([^ \n]++))?(?:" + _OM_EXEMPLAR + rb")?\n"
)  # fmt: skip
EXEMPLAR = re.compile(_OM_EXEMPLAR)
_OM_META = re.compile(rb"# (HELP|TYPE|UNIT) (" + _NAME + rb"|" + _QUOTED + rb") ([^\n]*+)\n")
_OM_EOF = re.compile(rb"# EOF\n?+")

_PAIRS = re.compile(rb"[ \t,]*+(?:(" + _LABEL + rb"|" + _QUOTED + rb")" + _S + rb"=" + _S + rb")?(" + _QUOTED + rb")")
_ESCAPED = re.compile(rb'\\([\\"n])')
_ESCAPED_HELP = re.compile(rb"\\([\\n])")
_WORD = re.compile(rb"[+-]?inf(?:inity)?|nan", re.IGNORECASE)
_PLAIN = re.compile(rb"[0-9.eE+-]+|[+-]?inf(?:inity)?|nan", re.IGNORECASE)
_TYPES: dict[bytes, MetricType] = {
    b"counter": "counter",
    b"gauge": "gauge",
    b"histogram": "histogram",
    b"summary": "summary",
    b"untyped": "unknown",
}
_OM_TYPES: dict[bytes, MetricType] = {
    b"counter": "counter",
    b"gauge": "gauge",
    b"histogram": "histogram",
    b"gaugehistogram": "histogram",
    b"summary": "summary",
    b"info": "info",
    b"stateset": "stateset",
    b"unknown": "unknown",
}
_SHOWN = 100
"""The most bytes of a line in an error message."""
NORMALISED: dict[bytes, str] = {b"histogram": "le", b"summary": "quantile"}
"""The label whose values are converted to OpenMetrics' number format, by the type of the metric."""


class PageError(ValueError):
    """A page (the body of a scrape response) is not valid. The whole scrape fails, as in Prometheus."""


class SeriesTextError(PageError):
    """A series has no name, or two names. Prometheus does not count its sample."""


class Sample(NamedTuple):
    """One sample. `series` is the text of its line before the value."""

    series: bytes
    value: float
    time: int | None
    """Milliseconds."""
    kind: bytes
    """The type in the last TYPE line before the sample; empty without one."""


@dataclass(frozen=True, slots=True)
class Meta:
    """A HELP, TYPE or UNIT line. `kind` is the type in a TYPE line."""

    keyword: bytes
    name: str
    text: str
    kind: bytes = b""
    type: MetricType = "unknown"


def parse(page: bytes, *, openmetrics: bool) -> Iterator[Sample | Meta]:
    """Yield the samples and the metadata in the order of the page.

    Raises:
        PageError: a line is not valid. The valid lines before it have been yielded.
    """
    return _openmetrics(page) if openmetrics else _text(page)


def _text(page: bytes) -> Iterator[Sample | Meta]:
    page, at, kind = page + b"\n", 0, b""
    while at < len(page):
        if found := _TEXT_SAMPLE.match(page, at):
            series, value, time = found.groups()
            number = parse_value(value)
            check_utf8(series)
            yield Sample(series, number, None if time is None else text_time(time), kind)
        elif found := _TEXT_META.match(page, at):
            if not (rest := _TEXT_META_REST.match(page, found.end())):
                raise _error("expected a metric name after HELP or TYPE", page, at)
            meta = _meta(found[1], rest[1], rest[2][1:], _TYPES)
            kind = meta.kind or kind
            found = rest
            yield meta
        elif not (found := _TEXT_SKIPPED.match(page, at)):
            if page.startswith(b"\0", at):  # Prometheus treats a NUL byte as the end of the page.
                return
            raise _error("invalid line", page, at)
        at = found.end()


def _openmetrics(page: bytes) -> Iterator[Sample | Meta]:
    at, kind = 0, b""
    while at < len(page):
        if found := _OM_SAMPLE.match(page, at):
            series, value, time, labels, exemplar_value, exemplar_time = found.groups()
            number = parse_value(value)
            check_utf8(series)
            if labels is not None:
                check_exemplar(labels, exemplar_value, exemplar_time)
            yield Sample(series, number, None if time is None else openmetrics_time(time), kind)
        elif found := _OM_META.match(page, at):
            meta = _meta(found[1], found[2], found[3], _OM_TYPES)
            kind = meta.kind or kind
            yield meta
        elif found := _OM_EOF.match(page, at):
            if found.end() < len(page):
                raise PageError("unexpected data after # EOF")
            return
        else:
            raise _error("invalid line", page, at)
        at = found.end()
    raise PageError("the response does not end with # EOF")


def _meta(keyword: bytes, name: bytes, text: bytes, types: dict[bytes, MetricType]) -> Meta:
    name = name[1:-1] if name.startswith(b'"') else name
    shown = name.decode(errors="replace")
    if keyword == b"TYPE":
        if text not in types:
            raise PageError(f"invalid metric type {_quoted(text)} of {shown}")
        return Meta(keyword, shown, "", text, types[text])
    if keyword == b"UNIT":
        if text and not name.endswith(b"_" + text):
            raise PageError(f"unit {_quoted(text)} is not a suffix of metric {shown}")
        return Meta(keyword, shown, text.decode(errors="replace"))
    check_utf8(text)
    escaped = _ESCAPED if types is _OM_TYPES else _ESCAPED_HELP
    return Meta(keyword, shown, _unescaped(text, escaped))


def parse_value(text: bytes) -> float:
    """Parse a value; raise `PageError` for a text that Go's ParseFloat rejects, such as `1_0` or `1e999`."""
    try:
        value = float(text)
    except ValueError:
        raise PageError(f"invalid value {_quoted(text)}") from None
    if not _PLAIN.fullmatch(text) or (not isfinite(value) and not _WORD.fullmatch(text)):
        raise PageError(f"invalid value {_quoted(text)}")
    return value


def text_time(text: bytes) -> int:
    """Parse a timestamp of the text format; return milliseconds. Raise `PageError` above 63 bits."""
    if len(text) > 19 and int(text) >= 2**63:
        raise PageError(f"timestamp {_quoted(text)} is out of range")
    return int(text)


def openmetrics_time(text: bytes) -> int:
    """Parse a timestamp of OpenMetrics (seconds); return milliseconds. Raise `PageError` if it is not valid."""
    value = parse_value(text)
    if not isfinite(value) or abs(value) >= 2**53:
        raise PageError(f"invalid timestamp {_quoted(text)}")
    return int(value * 1000)


def check_exemplar(labels: bytes, value: bytes, time: bytes | None) -> None:
    """Raise `PageError` if an exemplar, which the scraper does not store, is not valid."""
    check_utf8(labels)
    parse_value(value)
    if time is not None:
        openmetrics_time(time)


def check_utf8(text: bytes) -> None:
    """Raise `PageError` if the text is not valid UTF-8."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            raise PageError(f"invalid UTF-8 in {_quoted(text)}") from None


def labels_of(series: bytes, kind: bytes) -> dict[str, str]:
    """Parse the text of a series (`Sample.series`); return its labels, including empty ones.

    `kind` is the type of the metric (`Sample.kind`).

    Raises:
        PageError: the text is not a valid series.
    """
    head, _, rest = series.partition(b"{")
    # Prometheus takes spaces before a name as a part of the name.
    head = head.rstrip(b" \t")
    names = [head.decode()] if head else []
    pairs: list[tuple[str, str]] = []
    at = 0
    while found := _PAIRS.match(rest, at):
        label, value = found.groups()
        text = _unescaped(value[1:-1], _ESCAPED)
        if label is None:
            names.append(text)
        else:
            name = _unescaped(label[1:-1] if label.startswith(b'"') else label, _ESCAPED)
            pairs.append((name, _normalised(text) if NORMALISED.get(kind) == name else text))
        at = found.end()
    if len(names) != 1:
        raise SeriesTextError(f"the metric name is {'given twice' if names else 'missing'} in {_quoted(series)}")
    labels = {"__name__": names[0], **dict(pairs)}
    if len(labels) < len(pairs) + 1:
        raise PageError(f"a label is given twice in {_quoted(series)}")
    if not names[0]:
        raise PageError(f"the metric name is empty in {_quoted(series)}")
    return labels


def _normalised(text: str) -> str:
    """Return a bucket's bound or a quantile in OpenMetrics' notation; any other text unchanged."""
    try:
        value = parse_value(text.encode())
    except PageError:
        return text
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return _go_float(value)


def _go_float(value: float) -> str:
    """Return a finite number in Go's format g, with a point or an exponent."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, minus = "".join(map(str, digits)), "-" if sign else ""
    point = len(text) + int(exponent)
    if value and not -4 <= point - 1 < 6:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        return f"{minus}{text[0]}{fraction}e{point - 1:+03d}"
    return f"{minus}{abs(value)!r}"


def _unescaped(text: bytes, escaped: re.Pattern[bytes]) -> str:
    if b"\\" in text:
        text = escaped.sub(lambda found: b"\n" if found[1] == b"n" else found[1], text)
    return text.decode(errors="replace")


def _quoted(text: bytes) -> str:
    shown = text[:_SHOWN].decode(errors="backslashreplace")
    return f"{shown!r}{'...' if len(text) > _SHOWN else ''}"


def _error(why: str, page: bytes, at: int) -> PageError:
    number = page.count(b"\n", 0, at) + 1
    return PageError(f"{why} in line {number}: {_quoted(page[at:].partition(bytes([10]))[0])}")
