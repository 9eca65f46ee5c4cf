"""An embedded store for tests: a clock that tests set, and short ways to write and read samples."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from metricat_hub.model.labels import Labels, from_mapping
from metricat_hub.model.ports import Hints, Matcher, Operator, Reader, Series, Writer
from metricat_hub.model.samples import Appended, Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
BEGIN = 20_000 * DAY
"""Midnight, UTC: the start of a window of each tier but that of 30 days."""


class Clock:
    """A clock that tests set. In milliseconds."""

    def __init__(self, now: int = BEGIN) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def open_store(folder: Path, clock: Clock | None = None, settings: Settings | None = None) -> EmbeddedStore:
    return EmbeddedStore.open(folder, settings, clock or Clock())


def labels(name: str, **more: str) -> Labels:
    return from_mapping({"__name__": name, **more})


def matcher(name: str, operator: Operator, value: str) -> Matcher:
    return Matcher(name, operator, value)


def named(name: str) -> list[Matcher]:
    return [Matcher("__name__", "=", name)]


def write(store: Writer, samples: Mapping[Labels, Iterable[tuple[int, float]]]) -> Appended:
    """Append samples of each series in one batch."""
    rows = [(one, time, value) for one, points in samples.items() for time, value in points]
    numbers = dict(zip(samples, store.resolve(list(samples)).tolist(), strict=True))
    return store.append(
        Batch(
            np.array([numbers[one] for one, _, _ in rows], np.int64),
            np.array([time for _, time, _ in rows], np.int64),
            np.array([value for _, _, value in rows], np.float64),
        )
    )


def read(
    store: Reader, matchers: list[Matcher], start: int = 0, end: int = 2**60, hints: Hints | None = None
) -> dict[Labels, list[tuple[int, float]]]:
    """Return the samples of each series."""
    return {one.labels: points(one) for one in store.select(matchers, start, end, hints or Hints()).series}


def points(series: Series) -> list[tuple[int, float]]:
    return list(zip(series.times.tolist(), series.values.tolist(), strict=True))
