"""Stores the samples of a group of rules in one commit, because a commit for each rule would take too much time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import HubError
from metricat_hub.model.samples import Batch
from metricat_hub.store.spreading import rejections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.evaluation.samples import Samples
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Writer
    from metricat_hub.model.samples import Numbers
    from metricat_hub.promql.vector import Indices


class Recorder:
    """Stores the samples of one group of rules. It caches the store's numbers of the series until the series change."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._series: Sequence[tuple[Labels, ...]] = ()
        self._generation = -1
        self._numbers: Numbers = np.empty(0, np.int64)
        self._order: Indices = np.empty(0, np.intp)
        """The accepted series by number: a store keeps batches with the same series as a table."""
        self.rejected = 0
        """The samples of the last round that the store rejected."""

    def store(self, rules: Sequence[Samples], at: int) -> dict[int, str]:
        """Store the samples of all rules at a time in milliseconds. Return the errors by the index of the rule."""
        self.rejected = 0
        series = [one.labels for one in rules]
        if not any(series):
            return {}
        try:
            self._resolve(series)
            numbers, order = self._numbers, self._order
            values = np.concatenate([one.values for one in rules])
            times = np.full(len(order), at, dtype=np.int64)
            appended = self._writer.append(Batch(numbers[order], times, values[order]))
        except HubError as error:
            return {place: str(error) for place, of_rule in enumerate(series) if of_rule}
        mask = rejections(appended)
        if mask is None and len(order) == len(numbers):
            return {}
        rejected = numbers < 0
        if mask is not None:
            rejected[order] |= mask
            self._series = ()
        self.rejected = int(rejected.sum())
        ends = np.cumsum([len(of_rule) for of_rule in series])
        return {
            place: f"the store rejected {part.sum()} of {len(part)} samples of the rule; check --store.max-series, "
            "and whether another rule stores the same series"
            for place, part in enumerate(np.split(rejected, ends[:-1]))
            if part.any()
        }

    def _resolve(self, series: Sequence[tuple[Labels, ...]]) -> None:
        generation = self._writer.generation
        is_same = generation == self._generation and len(series) == len(self._series)
        if is_same and all(one is before for one, before in zip(series, self._series, strict=True)):
            return
        self._series = ()
        self._numbers = self._writer.resolve([labels for of_rule in series for labels in of_rule])
        order = np.argsort(self._numbers, kind="stable")
        self._order = order[self._numbers[order] >= 0]
        if len(self._order) == len(self._numbers):
            self._series, self._generation = series, generation
