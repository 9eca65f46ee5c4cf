"""Export and import of samples as text: OpenMetrics, JSON lines, and the output of ``promtool tsdb dump``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
import numpy as np

from metricat_hub.model.json_text import decode_json
from metricat_hub.model.labels import NAME, from_mapping, metric_name, text
from metricat_hub.model.samples import STALE, Batch, is_stale
from metricat_hub.store.embedded.settings import DAY, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Series
    from metricat_hub.store.embedded.store import EmbeddedStore
    from metricat_hub.store.postgresql import PostgresStore

Format: TypeAlias = Literal["openmetrics", "jsonl"]

_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.ASCII)
_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?", re.ASCII)
_LINE = re.compile(r'((?:[^\s{"]+|\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})+)\s+(\S+)\s+(\S+)(?:\s+#.*)?')
_ESCAPED = re.compile(r"\\(.)")
_WORDS = {"stale": float(STALE), "NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_AT_ONCE = 50_000
_YEARS = 100 * 365 * DAY
KEEP_ALL = Settings(raw_retention=_YEARS, minute_retention=_YEARS, hour_retention=_YEARS)
"""Settings of the store for an import, which keep all samples. The hub applies its retention when it starts."""
_MOST_ERRORS = 10
_EXAMPLE = 'up{job="nodes"} 1 1767225600'


class _Line(msgspec.Struct):
    """One line of JSON: a series, as VictoriaMetrics exports it.

    NaN and infinities are strings, because JSON has no such numbers.
    """

    metric: dict[str, str]
    values: list[float | str | None]
    timestamps: list[int]


def export(series: Iterable[Series], form: Format) -> Iterator[str]:
    """Yield the lines of an export. The format OpenMetrics has no staleness markers, so they are left out."""
    for one in series:
        stale = is_stale(one.values)
        if form == "jsonl":
            pairs = zip(one.values.tolist(), stale.tolist(), strict=True)
            line = _Line(dict(one.labels), [_word(value, gone) for value, gone in pairs], one.times.tolist())
            yield msgspec.json.encode(line).decode()
            continue
        name = text(one.labels)
        for time, value in zip(one.times[~stale].tolist(), one.values[~stale].tolist(), strict=True):
            yield f"{name} {_openmetrics(value)} {time // 1000}.{time % 1000:03d}"
    if form == "openmetrics":
        yield "# EOF"


def _word(value: float, stale: bool) -> float | str:  # noqa: FBT001 -- private
    if stale:
        return "stale"
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _openmetrics(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


@dataclass
class Imported:
    """The result of an import."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    """Number of rejected samples: with a conflicting stored value, in the future, or of a rejected series."""
    errors: list[str] = field(default_factory=list)
    """The first invalid lines, each with its error."""
    bad_lines: int = 0


def import_lines(store: EmbeddedStore | PostgresStore, lines: Iterable[str]) -> Imported:
    """Store the samples of an export, of any age, and maintain the store.

    Each line is JSON, OpenMetrics with a timestamp, or a line of ``promtool tsdb dump``.

    Raises:
        StoreUnavailableError: the disk is full. Earlier lines are stored; repeating the import is safe.
    """
    result = Imported()
    importer = _Importer(store, result)
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            importer.add(stripped)
        except (ValueError, msgspec.DecodeError) as error:
            result.bad_lines += 1
            if len(result.errors) < _MOST_ERRORS:
                result.errors.append(f"line {number}: {error}")
    importer.flush()
    store.maintain(pack_all=True)
    return result


class _Importer:
    """Collects samples and stores them in large batches."""

    def __init__(self, store: EmbeddedStore | PostgresStore, result: Imported) -> None:
        self._store = store
        self._result = result
        self._by_text: dict[str, Labels] = {}
        self._labels: list[Labels] = []
        self._times: list[int] = []
        self._values: list[float] = []

    def add(self, line: str) -> None:
        if line.startswith('{"'):
            one = decode_json(line, _Line)
            if len(one.values) != len(one.timestamps):
                raise ValueError(
                    f"{len(one.values)} values, but {len(one.timestamps)} timestamps; write a timestamp for each value"
                )
            labels = from_mapping(one.metric)
            values = [_number(value) for value in one.values]
            self._labels += [labels] * len(values)
            self._times += one.timestamps
            self._values += values
        else:
            found = _LINE.fullmatch(line)
            if not found:
                raise ValueError(f"expected a series, a value and a timestamp; write for example {_EXAMPLE}")
            series, value, time = found.groups()
            known = self._by_text.get(series)
            if known is None:
                known = self._by_text[series] = _parse_series(series)
            # `promtool tsdb dump` writes milliseconds and has the name in braces; OpenMetrics has seconds.
            milliseconds = int(time) if series.startswith("{") else round(float(time) * 1000)
            self._values.append(float(value))
            self._times.append(milliseconds)
            self._labels.append(known)
        if len(self._times) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Store the collected samples."""
        if not self._times:
            return
        distinct = list(dict.fromkeys(self._labels))
        numbers = dict(zip(distinct, self._store.resolve(distinct).tolist(), strict=True))
        series = np.array([numbers[one] for one in self._labels], np.int64)
        batch = Batch(series, np.array(self._times, np.int64), np.array(self._values, np.float64))
        appended = self._store.append_any_age(batch)
        self._result.accepted += appended.accepted
        self._result.duplicates += appended.duplicates
        self._result.rejected += len(series) - appended.accepted - appended.duplicates
        self._labels, self._times, self._values = [], [], []
        self._store.maintain()


def _number(value: float | str | None) -> float:
    """Return a value of a JSON line. VictoriaMetrics exports a staleness marker as null."""
    if value is None:
        return float(STALE)
    if isinstance(value, str):
        if value not in _WORDS:
            raise ValueError(f"invalid value {value[:100]!r}; write a number, or one of {', '.join(_WORDS)}")
        return _WORDS[value]
    return float(value)


def _parse_series(series: str) -> Labels:
    found = _SERIES.fullmatch(series)
    if not found:
        raise ValueError(f"invalid series {series!r}; write for example {_EXAMPLE}")
    name, inner = found.groups()
    pairs = {NAME: name or ""}
    at = 0
    while inner and at < len(inner):
        label = _LABEL.match(inner, at)
        if not label:
            raise ValueError(f"invalid labels in {series!r}; write for example {_EXAMPLE}")
        pairs[label[1]] = _ESCAPED.sub(lambda one: "\n" if one[1] == "n" else one[1], label[2])
        at = label.end()
    labels = from_mapping(pairs)
    if not metric_name(labels):
        raise ValueError(f"no metric name in {series!r}; write for example {_EXAMPLE}")
    return labels
