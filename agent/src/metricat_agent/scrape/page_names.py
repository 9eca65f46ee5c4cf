"""Names that two sources of a scrape response share: the earlier source keeps its series. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.exposition.model import Family

Sources = tuple[tuple[str, frozenset[str]], ...]
"""The sources in the order of the page, each with its names."""


class PageNames:
    """Finds the sources with a name that an earlier source has. Checks again only after a change of the names."""

    def __init__(self, own: Iterable[Family]) -> None:
        """``own`` are the families of the registry itself, which no source may have."""
        self._own = frozenset([name for family in own for name in (*family.page_names, *family.openmetrics_names)])
        self._checked: Sources = ()
        self._conflicts: Mapping[str, frozenset[str]] = {}
        self._all = self._own

    def check(self, sources: Sources) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
        """Return, for each source with a name of an earlier one, the names of all earlier sources; and all names."""
        if sources != self._checked:  # fast for the same objects
            taken = set(self._own)
            conflicts: dict[str, frozenset[str]] = {}
            for source, names in sources:
                if not taken.isdisjoint(names):
                    conflicts[source] = frozenset(taken)
                taken |= names
            self._checked, self._conflicts, self._all = sources, conflicts, frozenset(taken)
        return self._conflicts, self._all
