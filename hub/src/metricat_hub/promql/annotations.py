"""Warnings and infos of a query, with Prometheus' texts, so that tools recognize them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.promql import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

_MONOTONICITY = (
    "input to histogram_quantile needed to be fixed for monotonicity"
    " (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


@dataclass(slots=True)
class Monotonicity:
    """The changes with which `histogram_quantile` made the buckets of histograms monotonic.

    `lowest` and `highest` are the bounds of changed buckets, `difference` is the largest change of a count, and `first`
    and `last` are the times of the changed samples in milliseconds.
    """

    lowest: float
    highest: float
    difference: float
    samples: int
    first: int
    last: int


@dataclass(slots=True)
class Annotations:
    """The distinct warnings and infos of a query."""

    query: str
    _warnings: dict[str, None] = field(default_factory=dict)
    _infos: dict[str, None] = field(default_factory=dict)
    _monotonicity: dict[tuple[str, int], Monotonicity] = field(default_factory=dict)

    def warn(self, text: str, position: int) -> None:
        """Add a warning about the expression at an offset of the query."""
        self._warnings[f"PromQL warning: {text} ({tokens.place(self.query, position)})"] = None

    def inform(self, text: str, position: int) -> None:
        """Add an info about the expression at an offset of the query."""
        self._infos[f"PromQL info: {text} ({tokens.place(self.query, position)})"] = None

    def store_warned(self, texts: Sequence[str]) -> None:
        """Add warnings of the store."""
        self._warnings.update(dict.fromkeys(texts))

    def forced_monotonicity(self, metric: str, position: int, found: Monotonicity) -> None:
        """Add an info that buckets of a classic histogram were not monotonic."""
        known = self._monotonicity.get((metric, position))
        if known is None:
            self._monotonicity[metric, position] = found
            return
        known.lowest, known.highest = min(known.lowest, found.lowest), max(known.highest, found.highest)
        known.difference = max(known.difference, found.difference)
        known.samples += found.samples
        known.first, known.last = min(known.first, found.first), max(known.last, found.last)

    @property
    def warnings(self) -> list[str]:
        """The warnings."""
        return list(self._warnings)

    @property
    def infos(self) -> list[str]:
        """The infos."""
        detailed = [
            f"PromQL info: {_MONOTONICITY}{for_metric(metric)}, from buckets {found.lowest:g} to {found.highest:g},"
            f" with a max diff of {found.difference:.2g}, over {found.samples} samples"
            f" from {_time(found.first)} to {_time(found.last)} ({tokens.place(self.query, position)})"
            for (metric, position), found in self._monotonicity.items()
        ]
        return [*self._infos, *detailed]


def for_metric(metric: str) -> str:
    """Return ` for metric name "NAME"`; an empty text without a name."""
    return f' for metric name "{metric}"' if metric else ""


def _time(milliseconds: int) -> str:
    return f"{np.datetime64(milliseconds // 1000, 's')}Z"
