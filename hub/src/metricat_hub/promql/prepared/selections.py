"""Steps that read series: instant selectors, and functions of range selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import BatchReader, Hints, NewestSamples, SampleBlocks
from metricat_hub.model.samples import is_stale
from metricat_hub.promql.prepared.columns import NOTHING, Column, Derived, Rows, Stable, all_without_metadata
from metricat_hub.promql.prepared.steps import General, Step
from metricat_hub.promql.rollups import EXTRAPOLATED, ROLLUPS, TIMELESS, extrapolated, predict_linear
from metricat_hub.promql.windows import joined, of_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher, Selections, Series
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Call, RangeSelector, Selector
    from metricat_hub.promql.prepared.columns import LabelSets
    from metricat_hub.promql.prepared.steps import Round
    from metricat_hub.promql.vector import Indices, Mask

_KEEP_NAMES = frozenset({"first_over_time", "last_over_time"})


def names_of(matchers: Sequence[Matcher]) -> frozenset[str] | None:
    """Return the names of the metrics that match; None: unknown."""
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


class Changes:
    """`rate`, `increase` or `delta` of several selectors with one range, computed at once in each round.

    A scrape target is one block of samples then, not one for each selector.
    """

    def __init__(self, function: str, range_: int, offset: int) -> None:
        self._function = function
        self._range = range_
        self._offset = offset
        self._selectors: dict[tuple[Matcher, ...], int] = {}
        self._read: tuple[tuple[Matcher, ...], ...] = ()
        self._round: Round | None = None
        self._result: tuple[Selections, Values, Mask] | None = None

    def add(self, matchers: tuple[Matcher, ...]) -> int:
        """Add a selector, and return its place."""
        return self._selectors.setdefault(matchers, len(self._selectors))

    def result(self, round_: Round) -> tuple[Selections, Values, Mask] | None:
        """Return the series of all selectors, their values, and which exist; None: compute each selector."""
        if self._round is not round_:
            self._result = self._computed(round_)
            self._round = round_
        return self._result

    def _computed(self, round_: Round) -> tuple[Selections, Values, Mask] | None:
        context = round_.context
        if not isinstance(context.reader, BatchReader) or context.tier is not None:
            return None
        if len(self._read) < len(self._selectors):
            self._read = tuple(self._selectors)
        context.usage.check()
        reading = context.usage.reading()
        end = context.query.end - self._offset
        hints = Hints(range=self._range, function=self._function, reserve=reading)
        found = context.reader.select_many(self._read, end - self._range + 1, end, hints)
        if found is None or not isinstance(found.series, SampleBlocks):
            return None
        context.usage.read(sum(one.values.size for one in found.series.blocks), reading)
        ends = np.array([end])
        ready = of_blocks(found.series, ends - self._range, ends)
        if ready is None:
            return None
        values, present = np.zeros(len(found.series.labels)), np.zeros(len(found.series.labels), dtype=bool)
        for rows, (rolled, exists) in extrapolated(self._function, ready):
            values[rows], present[rows] = rolled[:, 0], exists[:, 0]
        return found, values, present


class Rollup(Step):
    """A function of a range selector, such as `rate`."""

    __slots__ = (
        *("_argument", "_changes", "_dropped", "_general", "_labels", "_name", "_place", "_places"),
        *("_rows", "_scalars", "_stable"),
    )

    def __init__(
        self, node: Call, argument: RangeSelector, scalars: Sequence[Step], changes: Changes | None = None
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
        self._changes = changes
        self._place = changes.add(argument.selector.matchers) if changes else 0
        self._places: Indices | None = None
        self._labels: LabelSets = ()
        """The labels of these places."""

    def compute(self, round_: Round) -> Column:
        """Return the value of the function for each series that has enough samples."""
        together = self._changes and self._changes.result(round_)
        if together:
            return self._chosen(*together)
        selector, evaluator = self._argument.selector, round_.evaluator
        ends = evaluator.references(selector.offset, selector.at)
        starts = ends - self._argument.range
        found = evaluator.range_series(self._argument, self._name)
        ready = of_blocks(found, starts, ends) if isinstance(found, SampleBlocks) else None
        if ready is None or not isinstance(found, SampleBlocks):
            return self._general.column(round_)  # the query has these samples already
        if not len(found.labels):
            return NOTHING
        scalars = [one.scalar(round_) for one in self._scalars]
        values, present = np.zeros(len(found.labels)), np.zeros(len(found.labels), dtype=bool)
        if self._name in EXTRAPOLATED:
            for rows, (rolled, exists) in extrapolated(self._name, ready):
                values[rows], present[rows] = rolled[:, 0], exists[:, 0]
        else:
            for block in joined(ready) if self._name in TIMELESS else ready:
                if self._name == "predict_linear":
                    rolled, exists = predict_linear(block, scalars, evaluator.times)
                else:
                    rolled, exists = ROLLUPS[self._name](block, scalars)
                values[block.rows], present[block.rows] = rolled[:, 0], exists[:, 0]
        result = self._rows.chosen(self._stable(found.labels), values, present)
        return result if self._name in _KEEP_NAMES else Column(self._dropped.of(result.labels), result.values)

    def _chosen(self, found: Selections, values: Values, present: Mask) -> Column:
        """Return the series of this selector from those of several selectors."""
        places = found.places[self._place]
        if places is not self._places:
            self._labels = self._stable([found.series.labels[place] for place in places.tolist()])
            self._places = places
        if not len(places):
            return NOTHING
        result = self._rows.chosen(self._labels, values[places], present[places])
        return Column(self._dropped.of(result.labels), result.values)
