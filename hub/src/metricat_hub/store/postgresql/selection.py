"""Selection: chooses a tier for each part of a query's time range, and reads the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import LimitError
from metricat_hub.model.labels import metric_name
from metricat_hub.model.ports import RESOLUTIONS, Selection, Series, no_reservation
from metricat_hub.store.embedded import tiers
from metricat_hub.store.embedded.encoding import Chunk
from metricat_hub.store.embedded.selection import plan
from metricat_hub.store.embedded.windows import LAYOUTS, RAW
from metricat_hub.store.postgresql import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Hints, Matcher, Tier
    from metricat_hub.store.embedded.selection import Segment
    from metricat_hub.store.embedded.windows import Layout as Tiling
    from metricat_hub.store.postgresql.state import State

_SLICE = 512
"""The number of series that one statement reads."""


def select(state: State, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
    """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
    layout = state.ready()
    most = state.settings.query_series
    numbers, labels = registry.match(state, matchers, start, end, most + 1)
    if len(numbers) > most:
        raise LimitError(
            f"the selector matches at least {len(numbers)} series, but the limit is {most}. Add label matchers."
        )
    tiling = tiers.choose(hints, end - start, len(numbers))
    progress = layout.progress(state.clock())
    segments = plan(progress, tiling, start, end)
    if not hints.range and segments and segments[0].layout is not RAW:
        # An instant selector also finds the point before the start.
        segments = plan(progress, tiling, start - segments[0].layout.resolution, end)
    selector = _Selector(state, segments, hints.function, labels, hints.reserve)
    series: list[Series] = []
    total = 0
    for one in selector.iterate(numbers):
        total += len(one.times)
        if total > state.settings.query_samples:
            raise LimitError(
                f"the query needs more than {state.settings.query_samples} samples. "
                "Use a shorter range or a longer step, or add a matcher."
            )
        series.append(one)
    return Selection(series, selector.coarsest)


def iterate(state: State, matchers: Sequence[Matcher], start: int, end: int, tier: Tier) -> Iterator[Series]:
    """Yield the matching series sorted by metric name, without limits. Only a few are in memory at a time.

    `tier` is the preferred tier: see `embedded.selection.plan`.
    """
    layout = state.ready()
    numbers, labels = registry.match(state, matchers, start, end)
    names: dict[str, list[int]] = {}
    for number in numbers.tolist():
        names.setdefault(metric_name(labels[number]), []).append(number)
    tiling = next(one for one in LAYOUTS if one.tier == tier)
    selector = _Selector(state, plan(layout.progress(state.clock()), tiling, start, end), "", labels)
    for name in sorted(names):
        yield from selector.iterate(np.array(names[name], np.int32))


class _Selector:
    """One selection."""

    def __init__(
        self,
        state: State,
        segments: Sequence[Segment],
        function: str,
        labels: Mapping[int, Labels],
        reserve: Callable[[int], None] = no_reservation,
    ) -> None:
        self._state = state
        self._reserve = reserve
        self._layout = state.ready()
        self._segments = segments
        self._function = function
        self._labels = labels
        self.coarsest: Tier = "raw"

    def iterate(self, numbers: NDArray[np.int32]) -> Iterator[Series]:
        for at in range(0, len(numbers), _SLICE):
            # All rows of a slice are read before any is returned, so that a slow caller holds no connection.
            yield from self._read(numbers[at : at + _SLICE])

    def _read(self, numbers: NDArray[np.int32]) -> list[Series]:
        parts: dict[int, list[tuple[Tiling, Chunk]]] = {}
        with self._state.connections.reader() as connection:
            for segment in self._segments:
                tiling = segment.layout
                if tiling is RAW:
                    for number, times, values in self._layout.raw(connection, numbers, segment.start, segment.end):
                        parts.setdefault(number, []).append((RAW, Chunk(times, {"last": values})))
                        self._reserve(len(times))
                    continue
                wanted = tiers.wanted_columns(self._function)
                for number, chunk in self._layout.points(connection, segment, numbers, wanted):
                    parts.setdefault(number, []).append((tiling, chunk))
                    self._reserve(len(chunk.times) * len(chunk.columns))
                    if RESOLUTIONS[tiling.tier] > RESOLUTIONS[self.coarsest]:
                        self.coarsest = tiling.tier
        found = []
        for number in sorted(parts):
            chunks = parts[number]
            times = np.concatenate([chunk.times for _, chunk in chunks])
            values = (
                chunks[0][1].columns["last"]
                if len(chunks) == 1 and chunks[0][0] is RAW
                else tiers.values_for(self._function, chunks)
            )
            found.append(Series(self._labels[number], times, values))
        return found
