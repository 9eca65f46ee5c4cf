"""The interface of the two table layouts, plain and TimescaleDB."""

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
    """Stores samples in tables.

    Methods with a connection raise `psycopg.Error`, the other methods `StoreUnavailableError`.
    """

    name: str

    def prepare(self, connection: Connection) -> None:
        """Load the state of the layout, and apply the settings to the database."""
        ...

    def active_series(self, connection: Connection) -> Iterator[tuple[int, Labels, int | None, int | None]]:
        """Yield number, labels, first and newest time of each series that is not idle."""
        ...

    def insert(self, connection: Connection, series: NDArray[np.int32], times: Times, values: Values) -> None:
        """Store samples, sorted by series and time, in one transaction. Stored samples are not replaced."""
        ...

    def raw(
        self, connection: Connection, numbers: NDArray[np.int32], start: int, end: int
    ) -> Iterator[tuple[int, Times, Values]]:
        """Yield the samples from start to end of the series that have samples, by ascending series number."""
        ...

    def points(
        self, connection: Connection, segment: Segment, numbers: NDArray[np.int32], wanted: Sequence[str]
    ) -> Iterator[tuple[int, Chunk]]:
        """Yield the points of a segment (tier and time range), with the columns `wanted`, sorted by series and time."""
        ...

    def progress(self, now: int) -> Progress:
        """Return up to which time each tier is downsampled and dropped."""
        ...

    def maintain(self, now: int) -> None:
        """Run due packing, downsampling and retention."""
        ...

    def size(self) -> int:
        """Return the size of all tables and indexes in bytes."""
        ...
