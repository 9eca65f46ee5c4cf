"""The part of a SQL database that the history uses. Statements are those that SQLite and PostgreSQL share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

Row: TypeAlias = "tuple[Any, ...]"


class Session(Protocol):
    """Runs statements. `?` marks a parameter."""

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        ...

    def integers(self, statement: str, parameters: Sequence[object] = ()) -> NDArray[np.int64]:
        """Return the rows of a query whose columns are integers, one after the other, in 8 bytes for each integer."""
        ...

    def change(self, statement: str, parameters: Iterable[Sequence[object]]) -> int:
        """Run a statement for each list of parameters; return how many rows changed."""
        ...


class Database(Protocol):
    """A database. Its methods raise `StoreUnavailableError`."""

    def reading(self) -> AbstractContextManager[Session]:
        """Lend a session for queries, in one transaction."""
        ...

    def writing(self) -> AbstractContextManager[Session]:
        """Lend the only session that writes, in one transaction. An error rolls it back."""
        ...

    def text(self, value: str) -> str:
        """Return a text that the database can store."""
        ...

    def size(self) -> int:
        """Return the bytes that the history uses."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
