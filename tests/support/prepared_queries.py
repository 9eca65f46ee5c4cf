"""Prepared queries against the same queries evaluated once: results and errors must be equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import HubError
from metricat_hub.model.ports import NewestSamples, SampleBlock, SampleBlocks, Selections
from metricat_hub.promql.engine import Engine, Result
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.prepared.columns import Column
from metricat_hub.promql.prepared.query import Preparation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Matcher, Reader, Selection
    from metricat_hub.promql.prepared.steps import Value


@dataclass
class ColumnReader:
    """A reader that returns columns where a store may do so."""

    inner: Reader

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return newest samples, or blocks of one series each. See `Reader.select`."""
        found = self.inner.select(matchers, start, end, hints)
        series = [one for one in found.series if len(one.times)]
        labels = tuple(one.labels for one in series)
        if hints.newest:
            times, values = (np.array([getattr(one, name)[-1] for one in series]) for name in ("times", "values"))
            return replace(found, series=NewestSamples(labels, times.astype(np.int64), values.astype(np.float64)))
        if hints.range:
            blocks = [SampleBlock(np.array([at]), one.times, one.values[None]) for at, one in enumerate(series)]
            return replace(found, series=SampleBlocks(labels, blocks))
        return found

    def select_many(self, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints) -> Selections:
        """Return blocks of one series each. See `BatchReader.select_many`."""
        each = [self.select(one, start, end, hints).series for one in selectors]
        union = {one.labels: one for series in each for one in series}
        blocks = [SampleBlock(np.array([at]), one.times, one.values[None]) for at, one in enumerate(union.values())]
        at = {labels: place for place, labels in enumerate(union)}
        return Selections(
            SampleBlocks(tuple(union), blocks),
            [np.array([at[one.labels] for one in series], np.intp) for series in each],
        )

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series."""
        return self.inner.series(matchers, start, end)

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return label names."""
        return self.inner.label_names(matchers, start, end)

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return label values."""
        return self.inner.label_values(name, matchers, start, end)

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata."""
        return self.inner.metadata()


def difference(reader: Reader, query: str, times: Sequence[int]) -> str:
    """Evaluate a query prepared and not prepared at some times; return the first difference, or an empty text."""
    engine = Engine(Limits())
    try:
        prepared = Preparation().prepare(query)
    except HubError as error:
        prepared, expected = None, _outcome(lambda: engine.instant(reader, query, times[0]))
        return "" if expected == f"{type(error).__name__}: {error}" else f"not prepared: {error}; expected: {expected}"
    if prepared is None:
        return ""
    for at in times:
        for source in (ColumnReader(reader), reader):
            expected = _outcome(lambda: engine.instant(reader, query, at))  # noqa: B023 -- called at once
            found = _outcome(lambda: prepared.evaluate(engine.begin(source, at)))  # noqa: B023 -- as above
            if expected != found:
                return f"{query} at {at}: prepared {found}; expected {expected}"
    return ""


def _outcome(evaluate: Callable[[], Result | Value]) -> object:
    try:
        with np.errstate(all="ignore"):
            result = evaluate()
    except HubError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(result, Column) or (isinstance(result, Result) and result.kind == "vector"):
        return sorted((labels, _shown(value)) for labels, value in zip(result.labels, result.values, strict=True))
    if isinstance(result, Result):
        result = result.text if result.kind == "string" else result.values
    return result if isinstance(result, str) else [_shown(value) for value in result]


def _shown(value: float) -> str:
    return "0" if value == 0 else f"{value:.14g}"
