"""The storage of samples in tables: the interface of the two layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Progress
    from metricat_hub.store.embedded.encoding import Chunk
    from metricat_hub.store.embedded.selection import Segment


class Layout(Protocol):
    """One layout of the tables. Methods raise `psycopg.Error`."""

    name: str

    def prepare(self, connection: Connection) -> None:
        """Load what the layout needs, and apply the settings."""
        ...

    def active_series(self, connection: Connection) -> Iterator[tuple[int, Labels, int | None, int | None]]:
        """Yield number, labels, first and newest time of each series that is not idle."""
        ...

    def insert(self, connection: Connection, series: NDArray[np.int32], times: Times, values: Values) -> None:
        """Store sorted samples in one transaction. It does not replace a sample of the same series and time."""
        ...

    def raw(
        self, connection: Connection, numbers: NDArray[np.int32], start: int, end: int
    ) -> Iterator[tuple[int, Times, Values]]:
        """Yield the samples from start to end of each series that has any, by ascending series."""
        ...

    def points(
        self, connection: Connection, segment: Segment, numbers: NDArray[np.int32], wanted: Sequence[str]
    ) -> Iterator[tuple[int, Chunk]]:
        """Yield the points of a tier and a time of each series that has any, by ascending series and time."""
        ...

    def progress(self, now: int) -> Progress:
        """Return the times that each tier has."""
        ...

    def maintain(self, now: int) -> None:
        """Pack, downsample and drop what is due."""
        ...

    def size(self) -> int:
        """Return the bytes of all tables and indexes."""
        ...
