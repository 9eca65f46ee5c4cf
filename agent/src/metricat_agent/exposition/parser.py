"""Parser of Prometheus' text format 0.0.4, as other programs write it. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/. Samples with a timestamp are rejected, because it
would be wrong at the next scrape.
"""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING

from metricat_agent.exposition.model import BOUNDS, Family, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)$")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}
_KINDS: dict[str, Kind] = {"counter": "counter", "gauge": "gauge"}
_COMPOUND: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "histogram": ("histogram", ("_bucket", "_sum", "_count")),
    "summary": ("summary", ("", "_sum", "_count")),
}
_ENDS = ("_sum", "_count")
PART = ""
"""The key under which a series stores its part of a histogram or summary; not a label."""
Series = tuple[tuple[str, str], ...]
"""Labels and their values, sorted by label."""
Found = dict[str, dict[Series, float]]


class FormatError(Exception):
    """A line that is not valid in the format."""


def families(text: str) -> list[tuple[Family, dict[Series, float]]]:
    """Return the families of a text and their series by label; raise `FormatError`.

    The parts of an incomplete histogram or summary become separate families.
    """
    helps: dict[str, str] = {}
    kinds: dict[str, str] = {}
    samples: Found = {}
    for line in text.splitlines():
        words = line.split(None, 3)
        if not words:
            continue
        if words[0].startswith("#"):
            if len(words) > 2 and words[1] in ("HELP", "TYPE"):
                (helps if words[1] == "HELP" else kinds)[words[2]] = words[3] if len(words) > 3 else ""
            continue
        match = _SAMPLE.match(line.strip())
        if match is None:
            raise FormatError(line)
        series = samples.setdefault(match[1], {})
        key = tuple(sorted(labels(match[2] or "").items()))
        if key in series:
            raise FormatError(line)
        series[key] = float(match[3])
    return _in_families(samples, helps, kinds)


def _in_families(
    samples: Found, helps: Mapping[str, str], kinds: Mapping[str, str]
) -> list[tuple[Family, dict[Series, float]]]:
    found = []
    for name, (kind, parts) in [(name, _COMPOUND[kind]) for name, kind in kinds.items() if kind in _COMPOUND]:
        series = _merged(name, parts, samples)
        if _is_complete(kind, series):
            found.append((_family(name, helps.get(name, ""), kind), series))
            for part in parts:
                samples.pop(name + part, None)
    for name, series in samples.items():
        found.append((_family(name, helps.get(name, ""), _KINDS.get(kinds.get(name, ""), "untyped")), series))
    return found


def labels(text: str) -> dict[str, str]:
    """Parse the labels between the braces."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        match = _LABEL.match(text, at)
        if match is None or match[1] in found:
            raise FormatError(text)
        found[match[1]] = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), match[2])
        at = match.end()
    return found


def _family(name: str, text: str, kind: Kind) -> Family:
    plain = text.replace("\\n", "\n").replace("\\\\", "\\") or "Read from a file."
    return Family(name, kind, plain, ())


def _merged(name: str, parts: tuple[str, ...], samples: Found) -> dict[Series, float]:
    return {((PART, part), *key): value for part in parts for key, value in samples.get(name + part, {}).items()}


def _is_complete(kind: Kind, series: Mapping[Series, float]) -> bool:
    """Return whether each series has a sum and a count, and cumulative buckets whose last one equals the count."""
    rows: dict[Series, list[tuple[float, float]]] = {}
    ends: dict[Series, dict[str, float]] = {}
    for key, value in series.items():
        named = dict(key)
        part = named.pop(PART)
        try:
            limit = None if part in _ENDS else float(named.pop(BOUNDS[kind]))
        except (KeyError, ValueError):  # no bound, or one that is not a number
            return False
        group = tuple(named.items())
        if limit is None:
            ends.setdefault(group, {})[part] = value
        else:
            rows.setdefault(group, []).append((limit, value))
    if not ends or rows.keys() - ends.keys() or any(len(end) < len(_ENDS) for end in ends.values()):
        return False
    return kind == "summary" or all(_is_cumulative(rows.get(group, []), end["_count"]) for group, end in ends.items())


def _is_cumulative(buckets: list[tuple[float, float]], count: float) -> bool:
    buckets.sort()
    counts = [number for _, number in buckets]
    return buckets[-1:] == [(inf, count)] and counts == sorted(counts) and len(dict(buckets)) == len(buckets)
