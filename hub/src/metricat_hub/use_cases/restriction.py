"""A reader and an engine for clients with restricted access, which return only series that match label matchers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher
from metricat_hub.promql.query_engine import LOOKBACK
from metricat_hub.promql.restriction import with_matchers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Reader, Selection
    from metricat_hub.promql.engine import Result
    from metricat_hub.promql.query_engine import QueryEngine, Stop

_NAMESPACE = "namespace"
_NAMESPACE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_NOTHING = (Matcher(_NAMESPACE, "=", ""), Matcher(_NAMESPACE, "!=", ""))
_MOST = 2**53
"""The largest time in milliseconds, for a range of all times."""


def namespace_matchers(namespaces: Iterable[str]) -> tuple[Matcher, ...]:
    """Return matchers for series of these namespaces. Without namespaces, they match no series."""
    names = sorted(one for one in namespaces if _NAMESPACE_NAME.fullmatch(one))
    return (Matcher(_NAMESPACE, "=~", "|".join(names)),) if names else _NOTHING


class RestrictedEngine:
    """A `QueryEngine` that adds matchers to every selector of a query."""

    def __init__(self, engine: QueryEngine, matchers: Sequence[Matcher]) -> None:
        self._engine = engine
        self._matchers = tuple(matchers)

    def instant(self, query: str, at: int, cancellation: Stop, lookback: int = LOOKBACK) -> Result:
        """Evaluate a query at one time. Errors: see `QueryEngine.instant` and `with_matchers`."""
        return self._engine.instant(with_matchers(query, self._matchers), at, cancellation, lookback)

    def range(  # noqa: PLR0913, PLR0917 -- the parameters of a range query
        self, query: str, start: int, end: int, step: int, cancellation: Stop, lookback: int = LOOKBACK
    ) -> Result:
        """Evaluate a query at each step from start to end. Errors: as `instant`."""
        restricted = with_matchers(query, self._matchers, step=step, span=end - start)
        return self._engine.range(restricted, start, end, step, cancellation, lookback)


class RestrictedReader:
    """A `Reader` that adds matchers to every selection."""

    def __init__(self, reader: Reader, matchers: Sequence[Matcher]) -> None:
        self._reader = reader
        self._matchers = tuple(matchers)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return samples. See `Reader.select`."""
        return self._reader.select([*matchers, *self._matchers], start, end, hints)

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers."""
        return self._reader.series([[*one, *self._matchers] for one in matchers], start, end)

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of the series that `series` returns.

        Without matchers, use all visible series that may have samples from start to end.
        """
        return self._reader.label_names(self._restricted(matchers), start, end)

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label in the series that `series` returns.

        Without matchers, use all visible series that may have samples from start to end.
        """
        return self._reader.label_values(name, self._restricted(matchers), start, end)

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of metrics with a visible series."""
        visible = set(self._reader.label_values(NAME, [self._matchers], -_MOST, _MOST))
        suffixes = ("_bucket", "_sum", "_count", "_total", "_info")
        visible |= {name.removesuffix(suffix) for name in visible for suffix in suffixes}
        return {name: one for name, one in self._reader.metadata().items() if name in visible}

    def _restricted(self, matchers: Sequence[Sequence[Matcher]]) -> list[list[Matcher]]:
        return [[*one, *self._matchers] for one in matchers or [[]]]
