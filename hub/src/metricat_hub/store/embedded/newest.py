"""The newest sample of each series in memory, so that instant queries read neither the head nor chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.head import Run


class NewestValues:
    """The newest sample of each series that arrived since the start of the hub, or was in the head at the start.

    Not thread-safe: the owner must lock it.
    """

    def __init__(self) -> None:
        self.times: Times = np.zeros(1024, np.int64)
        """Milliseconds by series number; 0: no sample has arrived."""
        self.values: Values = np.zeros(1024)

    def add(self, run: Run, *, in_order: bool = False) -> None:
        """Add samples. `in_order` promises that each series has one sample, newer than the series' newest sample."""
        series, times, values = run.series, run.times, run.values
        self._grow(run.highest + 1)
        if not in_order:
            last = np.append(series[1:] != series[:-1], [True])
            series, times, values = series[last], times[last], values[last]
            newer = times >= self.times[series]
            series, times, values = series[newer], times[newer], values[newer]
        self.times[series] = times
        self.values[series] = values

    def get(self, series: NDArray[np.int32]) -> tuple[Times, Values]:
        """Return time and value of the newest sample of each series; the time is 0 without a sample."""
        if len(series):
            self._grow(int(series[-1]) + 1)
        return self.times[series], self.values[series]

    def _grow(self, size: int) -> None:
        if size > len(self.times):
            more = max(len(self.times), size - len(self.times))
            self.times = np.concatenate([self.times, np.zeros(more, np.int64)])
            self.values = np.concatenate([self.values, np.zeros(more)])
