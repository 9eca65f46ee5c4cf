"""The interface of SQL databases for the alert history. Statements must work in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

Row: TypeAlias = "tuple[Any, ...]"


class Session(Protocol):
    """Runs SQL statements. `?` is the placeholder of a parameter."""

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        ...

    def integers(self, statement: str, parameters: Sequence[object] = ()) -> NDArray[np.int64]:
        """Return the rows of a query with integer columns as one flat array, row after row."""
        ...

    def change(self, statement: str, parameters: Iterable[Sequence[object]]) -> int:
        """Run a statement for each list of parameters; return the number of changed rows."""
        ...


class Database(Protocol):
    """A SQL database. Its methods raise `StoreUnavailableError` if it is not available."""

    def reading(self) -> AbstractContextManager[Session]:
        """Yield a session for queries, in one transaction."""
        ...

    def writing(self) -> AbstractContextManager[Session]:
        """Yield the only session that writes, in one transaction. An error rolls the transaction back."""
        ...

    def text(self, value: str) -> str:
        """Return the text without characters that the database cannot store."""
        ...

    def size(self) -> int:
        """Return the size of the history in bytes."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
