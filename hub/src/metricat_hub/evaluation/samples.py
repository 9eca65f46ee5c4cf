"""The samples of one evaluation, and results of queries, in columns: one object for each sample costs too much time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, overload

import numpy as np

from metricat_hub.model.samples import STALE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Values


@dataclass(slots=True, eq=False)  # not frozen: a frozen object takes three times as long to create
class Samples(Sequence["tuple[Labels, float]"]):
    """Labels and values of samples, as columns. All have the time of the evaluation minus the group's offset."""

    labels: tuple[Labels, ...]
    """The labels of the series. If possible, the source returns the same tuple object for the same series."""
    values: Values

    @classmethod
    def of(cls, samples: Sequence[tuple[Labels, float]]) -> Samples:
        """Convert pairs of labels and value to columns."""
        if isinstance(samples, Samples):
            return samples
        if not samples:
            return NO_SAMPLES
        return cls(tuple(labels for labels, _ in samples), np.array([value for _, value in samples], np.float64))

    def with_ends(self, ended: Sequence[Labels]) -> Samples:
        """Return the samples, with a staleness marker added for each series that has ended."""
        if not ended:
            return self
        return Samples((*self.labels, *ended), np.append(self.values, np.full(len(ended), STALE)))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> tuple[Labels, float]: ...

    @overload
    def __getitem__(self, at: slice) -> Samples: ...

    def __getitem__(self, at: int | slice) -> tuple[Labels, float] | Samples:
        """Return a sample, or some of them."""
        if isinstance(at, slice):
            return Samples(self.labels[at], self.values[at])
        return self.labels[at], float(self.values[at])

    def __iter__(self) -> Iterator[tuple[Labels, float]]:
        """Yield labels and value of each sample."""
        return zip(self.labels, self.values.tolist(), strict=True)


NO_SAMPLES: Final = Samples((), np.empty(0))
