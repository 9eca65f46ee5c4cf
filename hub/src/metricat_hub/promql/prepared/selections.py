"""Steps that read series: instant selectors, and functions of range selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import NewestSamples, SampleBlocks
from metricat_hub.model.samples import is_stale
from metricat_hub.promql.prepared.columns import NOTHING, Column, Derived, Rows, Stable, all_without_metadata
from metricat_hub.promql.prepared.steps import General, Step
from metricat_hub.promql.rollups import EXTRAPOLATED, ROLLUPS, extrapolated, predict_linear
from metricat_hub.promql.windows import of_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher, Series
    from metricat_hub.promql.nodes import Call, RangeSelector, Selector
    from metricat_hub.promql.prepared.steps import Run

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

    def compute(self, run: Run) -> Column:
        """Return the newest samples without those of series that have ended."""
        found = self._read(run)
        if isinstance(found, NewestSamples):
            if not len(found.values):
                return NOTHING
            return self._rows.chosen(self._stable(found.labels), found.values, ~is_stale(found.values))
        return self._general.column(run)  # the query has these samples already

    def _read(self, run: Run) -> Sequence[Series]:
        node, context = self._node, run.context
        fixed = context.time(node.at)
        end = (context.query.end if fixed is None else fixed) - node.offset
        return context.select(node.matchers, end - context.lookback + 1, end, newest=True)


class Rollup(Step):
    """A function of a range selector, such as `rate`."""

    __slots__ = ("_argument", "_dropped", "_general", "_name", "_rows", "_scalars", "_stable")

    def __init__(self, node: Call, argument: RangeSelector, scalars: Sequence[Step]) -> None:
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

    def compute(self, run: Run) -> Column:
        """Return the value of the function for each series that has enough samples."""
        selector, evaluator = self._argument.selector, run.evaluator
        ends = evaluator.references(selector.offset, selector.at)
        starts = ends - self._argument.range
        found = evaluator.range_series(self._argument, self._name)
        ready = of_blocks(found, starts, ends) if isinstance(found, SampleBlocks) else None
        if ready is None or not isinstance(found, SampleBlocks):
            return self._general.column(run)  # the query has these samples already
        if not len(found.labels):
            return NOTHING
        scalars = [one.scalar(run) for one in self._scalars]
        values, present = np.zeros(len(found.labels)), np.zeros(len(found.labels), dtype=bool)
        if self._name in EXTRAPOLATED:
            for rows, (rolled, exists) in extrapolated(self._name, ready):
                values[rows], present[rows] = rolled[:, 0], exists[:, 0]
        else:
            for block in ready:
                if self._name == "predict_linear":
                    rolled, exists = predict_linear(block, scalars, evaluator.times)
                else:
                    rolled, exists = ROLLUPS[self._name](block, scalars)
                values[block.rows], present[block.rows] = rolled[:, 0], exists[:, 0]
        result = self._rows.chosen(self._stable(found.labels), values, present)
        return result if self._name in _KEEP_NAMES else Column(self._dropped.of(result.labels), result.values)
