"""Stores pushed samples: resolves their series, appends them, and reports rejected samples with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model import labels as model_labels
from metricat_hub.model.errors import SeriesRemovedError
from metricat_hub.model.samples import RESOLUTIONS, Batch
from metricat_hub.sources.write.errors import InvalidSeriesError
from metricat_hub.sources.write.remote_write import Symbols

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Writer
    from metricat_hub.model.samples import Appended, Numbers
    from metricat_hub.sources.write.columns import Columns, Key

CACHE_BYTES = 32 << 20
"""Limit of the memory for keys of resolved series in bytes. Above it, the cache is emptied."""
_ENTRY_BYTES = 150
"""Bytes of memory of a cached key in addition to its content."""
_UNRESOLVED, _REFUSED, _INVALID = -2, -1, -3
CONFLICTING = "the store has a different value of the series at this time; send each sample only once"
TOO_OLD = "the sample is older than the out-of-order window of the store; send samples sooner"
TOO_NEW = "the timestamp is too far in the future; check the clock of the sender"
FULL = (
    "the store has the maximum number of active series; send fewer series, or, with enough memory, raise "
    "--store.max-series"
)
_MOST_METADATA = 20_000
"""The most metrics whose metadata is cached."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected sample: its position in the columns, the reason, and the labels of its series."""

    index: int
    reason: str
    key: Key


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write."""

    stored: int
    """Number of samples that the store has: accepted samples and duplicates."""
    duplicates: int
    rejections: list[Rejection]


class _Cache:
    """Numbers of series by key, valid for one generation of the store's index."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.numbers: dict[Key, int] = {}
        self.bytes = 0


class SampleWriter:
    """Writes decoded samples to a store. Thread-safe; its methods block."""

    def __init__(self, store: Writer, cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._cache_bytes = cache_bytes
        self._cache = _Cache(store.generation)
        self._metadata: dict[str, Metadata] = {}
        self.symbols = Symbols()
        """The shared symbols for the decoder of remote write 2.0, so that a series has the same key in all requests."""

    def known(self) -> dict[Key, int]:
        """Return the cached series numbers by key, for the decoder. The caller must not change the dictionary."""
        return self._current().numbers

    def write(self, columns: Columns) -> Written:
        """Store samples; raise `StoreUnavailableError` if the store accepts no samples now.

        An invalid series or sample is rejected, and does not affect other series and samples.
        """
        self._set_metadata(columns.metadata)
        if not columns.keys:
            return Written(0, 0, [])
        invalid: dict[Key, str] = {}
        numbers = self._numbers(columns, invalid)
        store = numbers >= 0
        reasons: dict[int, str] = {}
        for index in np.flatnonzero(~store).tolist():
            reasons[index] = invalid.get(columns.keys[index], FULL)
        accepted = duplicates = 0
        positions = np.flatnonzero(store)
        if len(positions):
            accepted, duplicates = self._append(columns, numbers, positions, reasons)
        return Written(
            accepted + duplicates,
            duplicates,
            [Rejection(index, reason, columns.keys[index]) for index, reason in sorted(reasons.items())],
        )

    def _append(
        self, columns: Columns, numbers: Numbers, positions: NDArray[np.intp], reasons: dict[int, str]
    ) -> tuple[int, int]:
        """Append the samples at these positions; add the reasons of rejected ones. Return accepted and duplicates."""
        accepted = duplicates = 0
        for _ in range(RESOLUTIONS):
            appended = self._store.append(
                Batch(numbers[positions], columns.times[positions], columns.values[positions])
            )
            accepted, duplicates = accepted + appended.accepted, duplicates + appended.duplicates
            for position, reason in _rejected(appended):
                reasons[int(positions[position])] = reason
            if appended.unknown is None or not appended.unknown.any():
                return accepted, duplicates
            # The store has removed series since they were resolved.
            positions = positions[appended.unknown]
            self._cache = _Cache(self._store.generation)
            numbers = self._numbers(columns, {}, positions)
            for index in positions[numbers[positions] < 0].tolist():
                reasons[index] = FULL
            positions = positions[numbers[positions] >= 0]
            if not len(positions):
                return accepted, duplicates
        raise SeriesRemovedError

    def _numbers(self, columns: Columns, invalid: dict[Key, str], positions: NDArray[np.intp] | None = None) -> Numbers:
        """Return the number of each sample's series, negative without one; add the reasons of invalid series."""
        keys = columns.keys
        cache = self._current()
        numbers = np.fromiter(map(cache.numbers.get, keys, repeat(_UNRESOLVED)), dtype=np.int64, count=len(keys))
        missing = np.flatnonzero(numbers == _UNRESOLVED) if positions is None else positions
        if not len(missing):
            return numbers
        found: dict[Key, Labels] = {}
        for key in dict.fromkeys([keys[index] for index in missing.tolist()]):
            try:
                found[key] = columns.labels_of(key)
            except InvalidSeriesError as error:
                invalid[key] = str(error)
        resolved = dict(zip(found, self._store.resolve(list(found.values())).tolist(), strict=True)) if found else {}
        for index in missing.tolist():
            numbers[index] = resolved.get(keys[index], _INVALID)
        self._remember(cache, resolved)
        return numbers

    def _remember(self, cache: _Cache, resolved: dict[Key, int]) -> None:
        stored = {key: number for key, number in resolved.items() if number >= 0}
        cache.bytes += sum([_ENTRY_BYTES + _size(key) for key in stored])
        if cache.bytes > self._cache_bytes:
            self._cache = _Cache(cache.generation)
        else:
            cache.numbers.update(stored)

    def _current(self) -> _Cache:
        """Return the cache, a new one if the store has removed series since."""
        cache, generation = self._cache, self._store.generation
        if cache.generation != generation:
            cache = self._cache = _Cache(generation)
        return cache

    def _set_metadata(self, metadata: dict[str, Metadata]) -> None:
        """Store the metadata that differs from what the writer has stored before."""
        changed = {name: entry for name, entry in metadata.items() if self._metadata.get(name) != entry}
        if not changed:
            return
        self._store.set_metadata(changed)
        if len(self._metadata) + len(changed) > _MOST_METADATA:
            self._metadata = {}
        self._metadata.update(changed)


def _size(key: Key) -> int:
    """Return the bytes of a key. The texts of a tuple are shared between keys only in part."""
    return len(key) if isinstance(key, bytes) else 56 + 60 * len(key)


def _rejected(appended: Appended) -> Iterator[tuple[int, str]]:
    """Yield position and reason of each sample that the store rejected."""
    for mask, reason in (
        (appended.conflicting, CONFLICTING),
        (appended.too_old, TOO_OLD),
        (appended.too_new, TOO_NEW),
    ):
        if mask is not None:
            for position in np.flatnonzero(mask).tolist():
                yield position, reason


def summary(columns: Columns, written: Written, shown: int = 5) -> list[str]:
    """Return a line for each reason, with the number of rejected samples and the first `shown` series."""
    by_reason: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for rejection in written.rejections:
        counts[rejection.reason] = counts.get(rejection.reason, 0) + 1
        series = by_reason.setdefault(rejection.reason, [])
        if len(series) < shown:
            series.append(_series_text(columns, rejection))
    lines = []
    for reason, series in list(by_reason.items())[:20]:
        names = ", ".join(dict.fromkeys(filter(None, series)))
        more = f" and {counts[reason] - len(series)} more" if counts[reason] > len(series) else ""
        lines.append(f"{counts[reason]} samples rejected: {reason}" + (f": {names}{more}" if names else ""))
    return lines + columns.invalid[:20]


def _series_text(columns: Columns, rejection: Rejection) -> str:
    try:
        labels = columns.labels_of(rejection.key)
    except InvalidSeriesError:
        return ""  # the reason has the labels
    return f"{model_labels.text(labels)} at {columns.times[rejection.index]}"
