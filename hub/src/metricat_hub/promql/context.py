"""The shared state of one query: reader, limits, annotations, and the selections read so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_hub.model.ports import RESOLUTIONS, Hints, NewestSamples, SampleBlocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher, Reader, Series, Tier
    from metricat_hub.promql.annotations import Annotations
    from metricat_hub.promql.limits import Usage
    from metricat_hub.promql.nodes import At
    from metricat_hub.promql.vector import Grid


@dataclass(slots=True)
class Context:
    """The state of one query during its evaluation."""

    reader: Reader
    usage: Usage
    annotations: Annotations
    query: Grid
    """The evaluation times of the whole query, to which `start()`, `end()` and `step()` refer."""
    lookback: int
    tier: Tier | None
    subquery_step: int
    delayed_names: bool
    """Whether to drop metric names only at the end of the query (Prometheus' feature `promql-delayed-name-removal`)."""
    _read: dict[tuple[object, ...], Sequence[Series]] = field(default_factory=dict)
    _resolutions: dict[int, int] = field(default_factory=dict)
    """Milliseconds between points of downsampled series, by `id` of a sequence in `_read`."""

    def forget(self) -> None:
        """Forget the samples that were read, because later queries of a round may find other samples."""
        if self._read:
            self._read = {}
            self._resolutions = {}

    def select(  # noqa: PLR0913 # what a store should know
        self,
        matchers: Sequence[Matcher],
        start: int,
        end: int,
        *,
        step: int = 0,
        range_: int = 0,
        function: str = "",
        newest: bool = False,
    ) -> Sequence[Series]:
        """Return the samples of matching series from start to end, in milliseconds, both inclusive."""
        key = (*matchers, start, end, step, range_, function, newest)
        if (known := self._read.get(key)) is not None:
            return known
        self.usage.check()
        reading = self.usage.reading()
        hints = Hints(step, range_, function, self.tier, newest, reading)
        selection = self.reader.select(matchers, start, end, hints)
        self.usage.tiers.add(selection.tier)
        self.annotations.store_warned(selection.warnings)
        found: Sequence[Series]
        if isinstance(selection.series, NewestSamples):
            found, samples = selection.series, len(selection.series)
        elif isinstance(selection.series, SampleBlocks):
            found = selection.series
            samples = sum(one.values.size for one in found.blocks)
        else:
            found = [series for series in selection.series if len(series.times)]
            samples = sum(len(series.times) for series in found)
        self.usage.limits.check_series(len(found))
        self.usage.read(samples, reading)
        self._read[key] = found
        self._resolutions[id(found)] = RESOLUTIONS[selection.tier]
        return found

    def resolution(self, found: Sequence[Series]) -> int:
        """Return the milliseconds between two points of series that `select` returned; 0: raw samples."""
        return self._resolutions.get(id(found), 0)

    def time(self, at: At) -> int | None:
        """Return the timestamp of an `@` modifier; None: the time of each evaluation."""
        match at:
            case "start":
                return self.query.start
            case "end":
                return self.query.end
            case _:
                return at
