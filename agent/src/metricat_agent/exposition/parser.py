"""Parser of Prometheus' text format 0.0.4, as other programs write it. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/. Lines end with a line feed alone; blanks are spaces and
tabs. Carriage returns at the end of a line are accepted. Samples with a timestamp are rejected, because the timestamp
would be wrong at the next scrape.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import inf, isinf
from typing import TYPE_CHECKING

from metricat_agent.exposition.model import BOUNDS, Family, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

_META = re.compile(r"#[ \t]+(HELP|TYPE)[ \t]+([^ \t]+)[ \t]*(.*)")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{(.*)\})?[ \t]*(?<=[}\t ])([^ \t]+)")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,[ \t]*|\Z)')
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity)|nan", re.IGNORECASE)
"""Numbers as Go parses them, and so Prometheus, but without hexadecimal ones."""
_ESCAPE = re.compile(r"\\(.)")
_HELP_ESCAPES = {"n": "\n", "\\": "\\"}
_LABEL_ESCAPES = {**_HELP_ESCAPES, '"': '"'}
_KINDS: dict[str, Kind] = {"counter": "counter", "gauge": "gauge"}
_COMPOUND: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "histogram": ("histogram", ("_bucket", "_sum", "_count")),
    "summary": ("summary", ("", "_sum", "_count")),
}
_ENDS, _SHOWN = ("_sum", "_count"), 100
PART = ""
"""The key under which a series stores its part of a histogram or summary; not a label."""
DEFAULT_HELP = "Read from a file."
Series = tuple[tuple[str, str], ...]
"""Labels and their values, sorted by label. Values are not empty: an empty label equals a missing label."""
Found = dict[str, dict[Series, float]]


class FormatError(Exception):
    """A line is not valid in the format. The message has the cause and the text at fault."""


@dataclass(slots=True)
class Exposition:
    """The lines of a text: help texts, types and samples, each by metric name."""

    helps: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    samples: Found = field(default_factory=dict)


def parse(text: str) -> Exposition:
    """Parse a text; raise `FormatError` for the first invalid line."""
    found = Exposition()
    for line in text.split("\n"):
        plain = line.removesuffix("\r").strip(" \t")
        if plain.startswith("#"):
            if meta := _META.fullmatch(plain):
                if meta[1] == "HELP":
                    found.helps[meta[2]] = _unescaped(meta[3], _HELP_ESCAPES)
                elif meta[3]:
                    found.kinds[meta[2]] = meta[3]
        elif plain:
            match = _SAMPLE.fullmatch(plain)
            if match is None:
                raise FormatError(f"{line[:_SHOWN]!r} is not a sample in the text format")
            series = found.samples.setdefault(match[1], {})
            key = tuple(sorted([pair for pair in labels(match[2] or "").items() if pair[1]]))
            if key in series:
                raise FormatError(f"{line[:_SHOWN]!r} is a second sample of its series")
            series[key] = number(match[3])
    return found


def families(
    found: Exposition, helps: Mapping[str, str], kinds: Mapping[str, str]
) -> list[tuple[Family, dict[Series, float]]]:
    """Return the families of a text, with help texts and types by metric name, and the samples of each by labels.

    The parts of an incomplete histogram or summary become separate families.
    """
    whole: list[tuple[Family, dict[Series, float]]] = []
    samples = dict(found.samples)
    for name, (kind, parts) in [(name, _COMPOUND[kind]) for name, kind in kinds.items() if kind in _COMPOUND]:
        series = _merged(name, parts, samples)
        if _is_complete(kind, series):
            whole.append((Family(name, kind, helps.get(name) or DEFAULT_HELP), series))
            for part in parts:
                samples.pop(name + part, None)
    for name, series in samples.items():
        kind = _KINDS.get(kinds.get(name, ""), "untyped")
        whole.append((Family(name, kind, helps.get(name) or DEFAULT_HELP), series))
    return whole


def labels(text: str) -> dict[str, str]:
    """Parse the labels of a sample, the text between the braces; raise `FormatError` if they are invalid."""
    found: dict[str, str] = {}
    text = text.strip(" \t")
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None or match[1] in found or match[1].startswith("__"):
            raise FormatError(f"{text[:_SHOWN]!r} are not valid labels")
        found[match[1]] = _unescaped(match[2], _LABEL_ESCAPES)
        at = match.end()
    return found


def number(text: str) -> float:
    """Parse a number of the format; raise `FormatError` for other texts, some of which Python's float accepts."""
    if not _NUMBER.fullmatch(text):
        raise FormatError(f"{text!r} is not a number")
    value = float(text)
    if isinf(value) and text.lower().lstrip("+-") not in ("inf", "infinity"):
        raise FormatError(f"{text} is larger than every number of Prometheus")
    return value


def _unescaped(text: str, escapes: Mapping[str, str]) -> str:
    return _ESCAPE.sub(lambda escape: escapes.get(escape[1], escape[0]), text) if "\\" in text else text


def _merged(name: str, parts: tuple[str, ...], samples: Found) -> dict[Series, float]:
    return {((PART, part), *key): value for part in parts for key, value in samples.get(name + part, {}).items()}


def _is_complete(kind: Kind, series: Mapping[Series, float]) -> bool:
    """Return whether OpenMetrics allows the parts as one family.

    Each series has a sum and a count, bounds are different numbers, and buckets are cumulative and end with the count.
    No value is below zero, and counts are whole.
    """
    rows: dict[Series, list[tuple[float, float]]] = {}
    ends: dict[Series, dict[str, float]] = {}
    for key, value in series.items():
        named = dict(key)
        part = named.pop(PART)
        if not value >= 0 or (part in ("_bucket", "_count") and not value.is_integer()):
            return False
        if part in _ENDS and BOUNDS[kind] in named:
            return False
        try:
            limit = None if part in _ENDS else number(named.pop(BOUNDS[kind]))
        except (KeyError, FormatError):  # no bound, or one that is not a number
            return False
        group = tuple(named.items())
        if limit is None:
            ends.setdefault(group, {})[part] = value
        else:
            rows.setdefault(group, []).append((limit, value))
    if not ends or rows.keys() - ends.keys() or any(len(end) < len(_ENDS) for end in ends.values()):
        return False
    if kind == "summary":
        return all(map(_has_quantiles, rows.values()))
    return all(_is_cumulative(rows.get(group, []), end["_count"]) for group, end in ends.items())


def _has_quantiles(rows: list[tuple[float, float]]) -> bool:
    return all(0 <= limit <= 1 for limit, _ in rows) and len(dict(rows)) == len(rows)


def _is_cumulative(buckets: list[tuple[float, float]], count: float) -> bool:
    buckets.sort()
    counts = [number for _, number in buckets]
    return (
        buckets[-1:] == [(inf, count)]
        and all(limit >= 0 for limit, _ in buckets)  # OpenMetrics allows no sum with bounds below zero
        and counts == sorted(counts)
        and len(dict(buckets)) == len(buckets)
    )
