"""The ports between packages: the writer and the reader of a store.

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
"""The resolution of stored samples: as received, or downsampled to one point a minute or an hour."""


RESOLUTIONS: Mapping[Tier, int] = {"raw": 0, "1m": 60_000, "1h": 3_600_000}
"""Milliseconds between two points of a tier; 0: as received."""


class Matcher(NamedTuple):
    """A label matcher of a selector. A regular expression matches the whole value (RE2's syntax).

    A tuple, because selectors are keys of caches, and the hash of a tuple costs less than that of a dataclass.
    """

    name: str
    operator: Operator
    value: str


def no_reservation(samples: int) -> None:
    """Let the query hold the samples."""


@dataclass(frozen=True, slots=True)
class Hints:
    """The use of the samples in a query, from which a store chooses a tier and a column."""

    step: int = 0
    """Milliseconds between two evaluations; 0: one evaluation only."""
    range: int = 0
    """Milliseconds of a range selector; 0: an instant selector."""
    function: str = ""
    """The function that is applied to the selector, such as ``rate``; empty: none."""
    tier: Tier | None = None
    """The tier that the user chose; None: the store chooses."""
    newest: bool = False
    """The query needs only the newest sample of each series. A store may return more."""
    reserve: Callable[[int], None] = field(default=no_reservation, compare=False)
    """The store calls it with the number of samples that it is reading, before it reads more.

    It raises an error if the query must stop, for example because all queries together hold too many samples.
    """


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one series, by ascending time, without duplicates. They may contain staleness markers."""

    labels: Labels
    times: Times
    values: Values


@dataclass(frozen=True, slots=True)
class NewestSamples(Sequence[Series]):
    """One sample of each series, in columns: objects for thousands of series cost more than the query."""

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
        """Return a series with its sample, or a part of the series."""
        if isinstance(at, slice):
            return NewestSamples(self.labels[at], self.times[at], self.values[at])
        labels = self.labels[at]
        place = at % len(self)
        return Series(labels, self.times[place : place + 1], self.values[place : place + 1])


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Some of the series of `SampleBlocks`, with samples at the same times: a row for each series."""

    rows: NDArray[np.intp]
    """The places of the series."""
    times: Times
    values: Values


@dataclass(frozen=True, slots=True)
class SampleBlocks(Sequence[Series]):
    """Samples of many series in a few tables. Each series is in one block."""

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
        """Return a series, or some of them."""
        return list(self)[at]

    def __iter__(self) -> Iterator[Series]:
        """Yield each series with its samples, by place."""
        places = {row: (block, at) for block in self.blocks for at, row in enumerate(block.rows.tolist())}
        for place, labels in enumerate(self.labels):
            block, at = places[place]
            yield Series(labels, block.times, block.values[at])


@dataclass(frozen=True, slots=True)
class Selection:
    """The result of a selector: its series, and the coarsest tier that the store used.

    A point of a downsampled series has the time of its interval's end. An instant selector finds it for at least one
    interval, so the store also returns points up to one interval before the start. The values depend on the function of
    the hints. `rate` and `increase` get a counter without resets. `count_over_time` gets the number of samples of each
    point. Other `_over_time` functions get their aggregate, and all other functions get the last value.
    """

    series: Sequence[Series]
    tier: Tier = "raw"
    warnings: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Selections:
    """The result of several selectors: all their series, each once."""

    series: NewestSamples | SampleBlocks
    """A series without a sample has a staleness marker in `NewestSamples`, and is in no block of `SampleBlocks`."""
    places: Sequence[NDArray[np.intp]]
    """The places of the series of each selector. The same objects as long as the selectors match the same series."""


@runtime_checkable
class BatchReader(Protocol):
    """A reader that serves several selectors in one call. A round of rules has a hundred of them."""

    def select_many(
        self, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints
    ) -> Selections | None:
        """Return the samples from start to end of the series of each selector; None: call `Reader.select` for each.

        The hints have either `newest` or a range. Errors: see `Reader.select`.
        """
        ...


class Reader(Protocol):
    """How queries read a store. All times are milliseconds since 1970-01-01 UTC, both ends included."""

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
        """Return the sorted label names of these series; without matchers: of all series."""
        ...

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label of these series; without matchers: of all series."""
        ...

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of each metric by name."""
        ...


@runtime_checkable
class PastReader(Protocol):
    """A reader whose samples can be kept: it reports when earlier ones change."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return samples. See `Reader.select`."""
        ...

    def past(self, until: int) -> Hashable:
        """Return a value that is another one after a sample until this time, or before, has been added or removed."""
        ...


class Writer(Protocol):
    """How samples enter a store."""

    @property
    def generation(self) -> int:
        """A number that changes when the store removes series from its index. Numbers of series are then invalid."""
        ...

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series; the store adds series that it does not have.

        -1: the store refused the series, because it has as many series as its limit allows. The store counts refused
        series.
        """
        ...

    def append(self, batch: Batch) -> Appended:
        """Store samples. When this returns, the accepted samples survive a crash of the process.

        Raises:
            StoreUnavailableError: the store has stored no sample of the batch.
        """
        ...

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, by metric name."""
        ...


class Store(Reader, Writer, Protocol):
    """A store that can be read and written."""

    def close(self) -> None:
        """Write what is in memory, and release the store."""
        ...


class ManagedStore(Store, Protocol):
    """A store that the hub operates."""

    def maintain(self) -> object:
        """Do what is due: packing, downsampling, retention. The hub calls it every few seconds, in a thread.

        Raises:
            StoreUnavailableError: the store cannot do it now. No sample is lost; a later call continues.
        """
        ...

    def metrics(self) -> Sequence[Sample]:
        """Return the metrics of the store itself. They need no long scan."""
        ...

    def problems(self) -> Sequence[str]:
        """Return the current problems, each with its remedy. It must not block."""
        ...
