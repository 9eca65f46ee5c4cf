"""Steps of prepared queries that read series: instant selectors, and functions of range selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Hints, NewestSamples, SampleBlocks
from metricat_hub.model.samples import is_stale
from metricat_hub.promql.prepared.columns import NOTHING, Column, Derived, Rows, Stable, all_without_metadata
from metricat_hub.promql.prepared.steps import General, Step
from metricat_hub.promql.rollups import OF_ONE_WINDOW, ROLLUPS, of_one_window
from metricat_hub.promql.windows import of_blocks, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metricat_hub.model.ports import Matcher, Selections, Series
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Call, RangeSelector, Selector
    from metricat_hub.promql.prepared.columns import LabelSets
    from metricat_hub.promql.prepared.steps import Round
    from metricat_hub.promql.vector import Indices, Mask
    from metricat_hub.promql.windows import Together

_KEEP_NAMES = frozenset({"first_over_time", "last_over_time"})


def names_of(matchers: Sequence[Matcher]) -> frozenset[str] | None:
    """Return the metric names that matchers select; None: unknown."""
    name = next((one.value for one in matchers if one.name == NAME and one.operator == "="), "")
    return frozenset({name}) if name else None


class Selection(Step):
    """The newest sample of each series within the lookback period."""

    __slots__ = ("_general", "_node", "_rows", "_stable")

    def __init__(self, node: Selector) -> None:
        super().__init__(names_of(node.matchers), can_fail=False)
        self._node = node
        self._stable = Stable()
        self._rows = Rows()
        self._general = General(node)

    def compute(self, round_: Round) -> Column:
        """Return the newest samples, without staleness markers."""
        node, context = self._node, round_.context
        if round_.newest is not None and node.at is None:
            end = context.query.end - node.offset
            usage = context.usage
            column = round_.newest.newest(node.matchers, end - context.lookback + 1, end, usage)
            if column is not None:
                usage.limits.check_series(len(column.labels))
                usage.read(len(column.labels))
                return column
        found = self._read(round_)
        if isinstance(found, NewestSamples):
            if not len(found.values):
                return NOTHING
            return self._rows.chosen(self._stable(found.labels), found.values, ~is_stale(found.values))
        return self._general.column(round_)  # the query has these samples already

    def _read(self, round_: Round) -> Sequence[Series]:
        node, context = self._node, round_.context
        fixed = context.time(node.at)
        end = (context.query.end if fixed is None else fixed) - node.offset
        return context.select(node.matchers, end - context.lookback + 1, end, newest=True)


class SharedRange:
    """Range selectors with one range and offset. A round reads their samples at once.

    A scrape target is one block of samples then, not one for each selector.
    """

    def __init__(self, range_: int, offset: int) -> None:
        self._range = range_
        self._offset = offset
        self._selectors: dict[tuple[Matcher, ...], int] = {}
        self._functions: dict[str, set[int]] = {}
        """The places of the selectors of each function."""
        self._read: tuple[tuple[Matcher, ...], ...] = ()
        self._round: Round | None = None
        self._found: Selections | None = None
        self._samples: list[Together] = []
        self._results: dict[str, Result] = {}

    def add(self, matchers: tuple[Matcher, ...], function: str) -> int:
        """Add a selector with a function, and return the index of the selector."""
        place = self._selectors.setdefault(matchers, len(self._selectors))
        self._functions.setdefault(function, set()).add(place)
        return place

    def result(self, function: str, round_: Round) -> Result | None:
        """Return the values of the function for each series of its selectors; None: compute each selector."""
        if self._round is not round_:
            self._found, self._samples, self._results = None, [], {}
            self._select(round_)
            self._round = round_
        if self._found is None:
            return None
        result = self._results.get(function)
        if result is None:
            result = self._results[function] = self._computed(function, self._found)
            if len(self._results) == len(self._functions):
                self._samples = []
        return result

    def _select(self, round_: Round) -> None:
        context = round_.context
        if round_.batches is None or context.tier is not None:
            return
        if len(self._read) < len(self._selectors):
            self._read = tuple(self._selectors)
        context.usage.check()
        reading = context.usage.reading()
        end = context.query.end - self._offset
        found = round_.batches.select_many(
            self._read, end - self._range + 1, end, Hints(range=self._range, reserve=reading)
        )
        if found is None or not isinstance(found.series, SampleBlocks):
            return
        context.usage.read(sum(one.values.size for one in found.series.blocks), reading)
        ends = np.array([end])
        self._samples = list(together(of_blocks(found.series, ends - self._range, ends)))
        self._found = found

    def _computed(self, function: str, found: Selections) -> Result:
        own, count = self._functions[function], len(found.series.labels)
        samples = self._samples
        if len(own) < len(self._selectors):
            mask = np.zeros(count, dtype=bool)
            for place in own:
                mask[found.places[place]] = True
            samples = [one.chosen(mask) for one in samples]
        return Result(found, *_values(function, samples, count, (), np.empty(0)))


class Result(NamedTuple):
    """The values of a function for all series of several selectors, and which exist."""

    found: Selections
    values: Values
    present: Mask


def _values(
    function: str, samples: Iterable[Together], count: int, scalars: Sequence[Values], now: Values | Indices
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
        *("_rows", "_scalars", "_shared", "_stable"),
    )

    def __init__(
        self, node: Call, argument: RangeSelector, scalars: Sequence[Step], shared: SharedRange | None = None
    ) -> None:
        names = names_of(argument.selector.matchers)
        # The series of one metric differ in other labels than the name.
        super().__init__(names, can_fail=names is None or any(one.can_fail for one in scalars))
        self._name = node.name
        self._argument = argument
        self._scalars = scalars
        self._stable = Stable()
        self._rows = Rows()
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
            return self._chosen(*shared)
        selector, evaluator = self._argument.selector, round_.evaluator
        found = evaluator.range_series(self._argument, self._name)
        if not isinstance(found, SampleBlocks):
            return self._general.column(round_)  # the query has these samples already
        if not len(found.labels):
            return NOTHING
        ends = evaluator.references(selector.offset, selector.at)
        ready = of_blocks(found, ends - self._argument.range, ends)
        scalars = [one.scalar(round_) for one in self._scalars]
        count = len(found.labels)
        if self._name in OF_ONE_WINDOW:
            values, present = _values(self._name, together(ready), count, scalars, evaluator.times)
        else:
            values, present = np.zeros(count), np.zeros(count, dtype=bool)
            for block in ready:
                rolled, exists = ROLLUPS[self._name](block, scalars)
                values[block.rows], present[block.rows] = rolled[:, 0], exists[:, 0]
        return self._named(self._rows.chosen(self._stable(found.labels), values, present))

    def _named(self, result: Column) -> Column:
        return result if self._name in _KEEP_NAMES else Column(self._dropped.of(result.labels), result.values)

    def _chosen(self, found: Selections, values: Values, present: Mask) -> Column:
        """Return the series of this selector from those of several selectors."""
        places = found.places[self._place]
        if places is not self._places:
            self._labels = self._stable([found.series.labels[place] for place in places.tolist()])
            self._places = places
        if not len(places):
            return NOTHING
        return self._named(self._rows.chosen(self._labels, values[places], present[places]))
