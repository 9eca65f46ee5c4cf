"""The interfaces of stores, and the types of their parameters and results: matchers, hints, and samples of series.

All methods block, and any thread may call them. Asynchronous code calls them in a worker thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, overload, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.samples import Appended, Batch, Numbers, Times, Values
    from metricat_hub.model.self_metrics import Sample

Operator: TypeAlias = Literal["=", "!=", "=~", "!~"]
Tier: TypeAlias = Literal["raw", "1m", "1h"]
"""The resolution of stored samples: `raw` as received, or downsampled to one point each minute or hour."""


RESOLUTIONS: Mapping[Tier, int] = {"raw": 0, "1m": 60_000, "1h": 3_600_000}
"""Milliseconds between two points of each tier; 0: as received."""


class Matcher(NamedTuple):
    """A label matcher of a selector. A regular expression matches the whole value (RE2's syntax).

    A tuple, because selectors are keys of caches, and the hash of a tuple costs less than that of a dataclass.
    """

    name: str
    operator: Operator
    value: str


def no_reservation(samples: int) -> None:
    """Accept any number of samples: the default for `Hints.reserve`."""


@dataclass(frozen=True, slots=True)
class Hints:
    """How a query uses the samples. A store chooses tier and aggregate from the hints."""

    step: int = 0
    """Milliseconds between two evaluations; 0: one evaluation only."""
    range: int = 0
    """Milliseconds of a range selector; 0: an instant selector."""
    function: str = ""
    """The function that the query applies to the selector, such as `rate`; empty: none."""
    tier: Tier | None = None
    """The tier that the user chose; None: the store chooses."""
    newest: bool = False
    """The query needs only the newest sample of each series. A store may return more."""
    reserve: Callable[[int], None] = field(default=no_reservation, compare=False)
    """A function that the store calls with a number of samples before it reads them.

    The function raises an error if the query must stop, for example because all queries together hold too many samples.
    """


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one series, by ascending time, without duplicates. They may contain staleness markers."""

    labels: Labels
    times: Times
    values: Values


@dataclass(frozen=True, slots=True)
class NewestSamples(Sequence[Series]):
    """The newest sample of each series, in columns: one object for each series would cost more time than the query."""

    labels: Sequence[Labels]
    times: Times
    values: Values

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> Series: ...

    @overload
    def __getitem__(self, at: slice) -> NewestSamples: ...

    def __getitem__(self, at: int | slice) -> Series | NewestSamples:
        """Return the series at an index with its newest sample, or the series in a slice."""
        if isinstance(at, slice):
            return NewestSamples(self.labels[at], self.times[at], self.values[at])
        labels = self.labels[at]
        place = at % len(self)
        return Series(labels, self.times[place : place + 1], self.values[place : place + 1])


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """A table with one row for each series. These series of `SampleBlocks` have samples at the same times."""

    rows: NDArray[np.intp]
    """The indices of the series in `SampleBlocks`."""
    times: Times
    values: Values
    """A row for each series, a column for each time."""


@dataclass(frozen=True, slots=True)
class SampleBlocks(Sequence[Series]):
    """Samples of many series in a few tables. Each series with samples is in one block."""

    labels: Sequence[Labels]
    blocks: Sequence[SampleBlock]

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> Series: ...

    @overload
    def __getitem__(self, at: slice) -> list[Series]: ...

    def __getitem__(self, at: int | slice) -> Series | list[Series]:
        """Return the series at an index, or the series in a slice, with their samples."""
        return list(self)[at]

    def __iter__(self) -> Iterator[Series]:
        """Yield each series with its samples, in the order of `labels`."""
        places = {row: (block, at) for block in self.blocks for at, row in enumerate(block.rows.tolist())}
        for place, labels in enumerate(self.labels):
            block, at = places[place]
            yield Series(labels, block.times, block.values[at])


@dataclass(frozen=True, slots=True)
class Selection:
    """The result of a selector: its series, and the coarsest tier that the store used.

    The time of a point in a downsampled series is the end of its interval. An instant selector must find a point for at
    least one interval, so the store also returns points up to one interval before the start. The values depend on the
    function in the hints. `rate` and `increase` get a counter without resets. `count_over_time` gets the number of
    samples in each point. Other `_over_time` functions get their aggregate, and all other functions get the last value.
    """

    series: Sequence[Series]
    tier: Tier = "raw"
    warnings: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Selections:
    """The result of several selectors. A series that several selectors match occurs once."""

    series: NewestSamples | SampleBlocks
    """A series without a sample has a staleness marker in `NewestSamples`, and is in no block of `SampleBlocks`."""
    places: Sequence[NDArray[np.intp]]
    """The indices of the series of each selector. The objects stay the same while the same series match."""


@runtime_checkable
class BatchReader(Protocol):
    """A reader that evaluates several selectors in one call. One evaluation of all rules has a hundred selectors."""

    def select_many(
        self, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints
    ) -> Selections | None:
        """Return the samples of each selector from start to end; None: the caller must use `Reader.select` instead.

        `hints` must have either `newest` or a range. It raises the same errors as `Reader.select`.
        """
        ...


class Reader(Protocol):
    """The interface with which queries read a store. Times are milliseconds since 1970, both ends inclusive."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples from start to end of all series that match every matcher.

        Raises:
            LimitError: the selection has more series or samples than the store may return for one query.
            StoreUnavailableError: the store cannot be read now.
        """
        ...

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers and may have samples from start to end."""
        ...

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of the series that `series` returns.

        Without matchers, use all series that may have samples from start to end.
        """
        ...

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label in the series that `series` returns.

        Without matchers, use all series that may have samples from start to end.
        """
        ...

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of metrics by metric name."""
        ...


@runtime_checkable
class PastReader(Protocol):
    """A reader whose samples a caller can cache, because the reader reports when past samples change."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return samples. See `Reader.select`."""
        ...

    def past(self, until: int) -> Hashable:
        """Return a version that changes whenever a sample at or before `until` is added or removed."""
        ...


class Writer(Protocol):
    """The interface that writes samples to a store."""

    @property
    def generation(self) -> int:
        """A number that changes when the store removes series from its index. Resolved numbers then become invalid."""
        ...

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the store's number of each series. The store adds missing series to its index.

        The number is -1 if the store rejected the series, because it already has the maximum number of series. The
        store counts rejected series.
        """
        ...

    def append(self, batch: Batch) -> Appended:
        """Store samples. When this returns, the accepted samples survive a crash of the process.

        Raises:
            StoreUnavailableError: the store cannot be written now. It has not stored any sample of the batch.
        """
        ...

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, by metric name."""
        ...


class Store(Reader, Writer, Protocol):
    """A store with reader and writer."""

    def close(self) -> None:
        """Write data in memory to the store, and close the store."""
        ...


class ManagedStore(Store, Protocol):
    """A store with maintenance, metrics and problems."""

    def maintain(self) -> object:
        """Do due maintenance: packing, downsampling, retention. The hub calls it every few seconds in a thread.

        Raises:
            StoreUnavailableError: the store is not available now. No sample is lost; a later call continues.
        """
        ...

    def metrics(self) -> Sequence[Sample]:
        """Return the own metrics of the store, for `/metrics`. The method must be fast."""
        ...

    def problems(self) -> Sequence[str]:
        """Return the current problems of the store, each with a remedy. The method must not block."""
        ...
