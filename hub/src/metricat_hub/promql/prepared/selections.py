"""Steps of prepared queries that read series: instant selectors, and functions of range selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Hints, NewestSamples, SampleBlocks
from metricat_hub.model.samples import is_sample
from metricat_hub.promql.prepared.columns import NOTHING, Column, Derived, Rows, Stable, Unchanged, all_without_metadata
from metricat_hub.promql.prepared.steps import General, Step
from metricat_hub.promql.rollups import OF_ONE_WINDOW, ROLLUPS, of_one_window
from metricat_hub.promql.windows import of_blocks, one_window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metricat_hub.model.ports import Matcher, Selections, Series
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Call, RangeSelector, Selector
    from metricat_hub.promql.prepared.columns import LabelSets
    from metricat_hub.promql.prepared.steps import Round
    from metricat_hub.promql.vector import Indices, Mask
    from metricat_hub.promql.windows import MergedBlocks

_KEEP_NAMES = frozenset({"first_over_time", "last_over_time"})
_SIMILAR = 6
"""A round reads ranges at once if the longest is at most so many times the shortest."""
_NO_VALUES = np.empty(0)


def names_of(matchers: Sequence[Matcher]) -> frozenset[str] | None:
    """Return the metric names that matchers select; None: unknown."""
    name = next((one.value for one in matchers if one.name == NAME and one.operator == "="), "")
    return frozenset({name}) if name else None


class Selection(Step):
    """The newest sample of each series within the lookback period."""

    __slots__ = ("_general", "_node", "_rows", "_stable", "_unchanged")

    def __init__(self, node: Selector) -> None:
        names = names_of(node.matchers)
        super().__init__(names, can_fail=False, is_distinct=names is not None)
        self._node = node
        self._stable = Stable()
        self._rows = Rows()
        self._general = General(node)
        self._unchanged = Unchanged()

    def compute(self, round_: Round) -> Column:
        """Return the newest samples, without staleness markers."""
        node, context = self._node, round_.context
        if round_.newest is not None and node.at is None:
            end = context.query.end - node.offset
            usage = context.usage
            column = round_.newest.newest(node.matchers, end - context.lookback + 1, end, usage)
            if column is not None:
                if not column.labels:
                    return column
                usage.limits.check_series(len(column.labels))
                usage.read(len(column.labels))
                return self._unchanged.of(column)
        found = self._read(round_)
        if isinstance(found, NewestSamples):
            if not len(found.values):
                return NOTHING
            column = self._rows.chosen(self._stable(found.labels), found.values, is_sample(found.values))
            return self._unchanged.of(column)
        return self._general.column(round_)  # the query has these samples already

    def _read(self, round_: Round) -> Sequence[Series]:
        node, context = self._node, round_.context
        fixed = context.time(node.at)
        end = (context.query.end if fixed is None else fixed) - node.offset
        return context.select(node.matchers, end - context.lookback + 1, end, newest=True)


class SharedSamples:
    """Range selectors with one offset and similar ranges. A round reads their samples at once.

    A scrape target is one block of samples then, not one for each selector.
    """

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._selectors: dict[tuple[Matcher, ...], int] = {}
        self._ranges: dict[int, SharedRange] = {}
        self._read: tuple[tuple[Matcher, ...], ...] = ()
        self._round: Round | None = None
        self._found: Selections | None = None

    def range(self, range_: int) -> SharedRange | None:
        """Return the selectors with a range in milliseconds; None: it differs too much from the other ranges."""
        ranges = (range_, *self._ranges)
        if max(ranges) > _SIMILAR * min(ranges):
            return None
        return self._ranges.setdefault(range_, SharedRange(range_, self))

    def add(self, matchers: tuple[Matcher, ...]) -> int:
        """Add a selector, and return its index in `Selections.places`."""
        return self._selectors.setdefault(matchers, len(self._selectors))

    def end(self, round_: Round) -> int:
        """Return the end of the ranges at the time of a round, in milliseconds."""
        return round_.context.query.end - self._offset

    def found(self, round_: Round) -> Selections | None:
        """Return the samples of the longest range; None: they cannot be read at once."""
        if self._round is not round_:
            self._found = self._select(round_)
            self._round = round_
        return self._found

    def _select(self, round_: Round) -> Selections | None:
        context = round_.context
        if round_.batches is None or context.tier is not None:
            return None
        if len(self._read) < len(self._selectors):
            self._read = tuple(self._selectors)
        context.usage.check()
        reading = context.usage.reading()
        start, end = self.end(round_) - max(self._ranges) + 1, self.end(round_)
        hints = Hints(range=min(self._ranges), reserve=reading)
        found = round_.batches.select_many(self._read, start, end, hints)
        if found is None or not isinstance(found.series, SampleBlocks):
            return None
        context.usage.read(sum(one.values.size for one in found.series.blocks), reading)
        return found


class SharedRange:
    """Range selectors with one range and offset, and the functions that queries apply to them."""

    def __init__(self, range_: int, samples: SharedSamples) -> None:
        self._range = range_
        self._samples = samples
        self._functions: dict[str, set[int]] = {}
        """The places of the selectors of each function."""
        self._round: Round | None = None
        self._windows: list[MergedBlocks] = []
        self._results: dict[str, Result | None] = {}
        self._from: Sequence[Indices] = ()
        self._masks: dict[str, Mask | None] = {}
        """For each function, the series of its selectors (None: all), if their places are those of `from`."""

    def add(self, matchers: tuple[Matcher, ...], function: str) -> int:
        """Add a selector with a function, and return the index of the selector in `Selections.places`."""
        place = self._samples.add(matchers)
        self._functions.setdefault(function, set()).add(place)
        return place

    def result(self, function: str, round_: Round) -> Result | None:
        """Return the values of the function for all series; None: the caller must evaluate each selector."""
        if self._round is not round_:
            self._windows, self._results = [], {}
            self._round = round_
        if function not in self._results:
            found = self._samples.found(round_)
            self._results[function] = None if found is None else self._computed(function, found, round_)
            if len(self._results) == len(self._functions):
                self._windows = []
        return self._results[function]

    def _computed(self, function: str, found: Selections, round_: Round) -> Result:
        assert isinstance(found.series, SampleBlocks)  # noqa: S101 # as selected
        if not self._windows:
            end = self._samples.end(round_)
            self._windows = one_window(found.series, end - self._range, end)
        mask = self._mask(function, found)
        windows = self._windows if mask is None else [one.chosen(mask) for one in self._windows]
        values, present = _values(function, windows, len(found.series.labels), (), _NO_VALUES)
        is_complete = bool((present if mask is None else present[mask]).all())
        return Result(found, values, present, is_complete)

    def _mask(self, function: str, found: Selections) -> Mask | None:
        """Return the series of the selectors of a function; None: all."""
        if found.places is not self._from:
            self._from, self._masks = found.places, {}
        if function not in self._masks:
            mask = np.zeros(len(found.series.labels), dtype=bool)
            for place in self._functions[function]:
                mask[found.places[place]] = True
            self._masks[function] = None if mask.all() else mask
        return self._masks[function]


class Result(NamedTuple):
    """The values of a function for all series of several selectors, and a mask of the values that exist."""

    found: Selections
    values: Values
    present: Mask
    is_complete: bool
    """Whether all values exist."""


def _values(
    function: str, samples: Iterable[MergedBlocks], count: int, scalars: Sequence[Values], now: Values | Indices
) -> tuple[Values, Mask]:
    """Return the values of a function for each of some series, and which exist."""
    values, present = np.zeros(count), np.zeros(count, dtype=bool)
    for one in samples:
        if len(one.rows):
            rolled, exists = of_one_window(function, one, scalars, now)
            values[one.rows], present[one.rows] = rolled[:, 0], exists[:, 0]
    return values, present


class Rollup(Step):
    """A function of a range selector, such as `rate`."""

    __slots__ = (
        *("_argument", "_dropped", "_general", "_labels", "_name", "_place", "_places"),
        *("_rows", "_scalars", "_shared", "_stable", "_unchanged"),
    )

    def __init__(
        self, node: Call, argument: RangeSelector, scalars: Sequence[Step], shared: SharedRange | None = None
    ) -> None:
        names = names_of(argument.selector.matchers)
        # The series of one metric differ in other labels than the name.
        can_fail = names is None or any(one.can_fail for one in scalars)
        super().__init__(names, can_fail=can_fail, is_distinct=names is not None)
        self._name = node.name
        self._argument = argument
        self._scalars = scalars
        self._stable = Stable()
        self._rows = Rows()
        self._unchanged = Unchanged()
        self._dropped = Derived(all_without_metadata)
        self._general = General(node)
        self._shared = shared
        self._place = shared.add(argument.selector.matchers, node.name) if shared else 0
        self._places: Indices | None = None
        self._labels: LabelSets = ()
        """The labels of these places."""

    def compute(self, round_: Round) -> Column:
        """Return the value of the function for each series with enough samples."""
        shared = self._shared and self._shared.result(self._name, round_)
        if shared:
            return self._chosen(shared)
        selector, evaluator = self._argument.selector, round_.evaluator
        found = evaluator.range_series(self._argument, self._name)
        if not isinstance(found, SampleBlocks):
            return self._general.column(round_)  # the query has these samples already
        if not len(found.labels):
            return NOTHING
        ends = evaluator.references(selector.offset, selector.at)
        scalars = [one.scalar(round_) for one in self._scalars]
        count = len(found.labels)
        if self._name in OF_ONE_WINDOW:
            end = int(ends[0])
            windows = one_window(found, end - self._argument.range, end)
            values, present = _values(self._name, windows, count, scalars, evaluator.times)
        else:
            values, present = np.zeros(count), np.zeros(count, dtype=bool)
            for block in of_blocks(found, ends - self._argument.range, ends):
                rolled, exists = ROLLUPS[self._name](block, scalars)
                values[block.rows], present[block.rows] = rolled[:, 0], exists[:, 0]
        return self._named(self._rows.chosen(self._stable(found.labels), values, present))

    def _named(self, result: Column) -> Column:
        """Return the result without metric names, unless the function keeps them."""
        if self._name not in _KEEP_NAMES:
            result = Column(self._dropped.of(result.labels), result.values)
        return self._unchanged.of(result)

    def _chosen(self, result: Result) -> Column:
        """Return the series of this selector from those of several selectors."""
        places = result.found.places[self._place]
        if not len(places):
            return NOTHING
        if places is not self._places:
            self._labels = self._stable([result.found.series.labels[place] for place in places.tolist()])
            self._places = places
        values = result.values[places]
        if result.is_complete:
            return self._named(Column(self._labels, values))
        return self._named(self._rows.chosen(self._labels, values, result.present[places]))
