"""Fields of a kernel's list of names and values, selected by a regular expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import pattern
from metricat_agent.collectors.option import CollectorOption
from metricat_agent.exposition.model import Family, Metrics, single

if TYPE_CHECKING:
    import re
    from collections.abc import Callable


def fields_option(default: str) -> CollectorOption[re.Pattern[str]]:
    """Return the option ``fields``: the regular expression that selects fields."""
    return CollectorOption("fields", default, "take these fields", "REGEX", parse=pattern)


class FieldList:
    """Parser of lines ``NAME VALUE``.

    Remember the positions of the selected fields: matching every name at every scrape would cost more.
    """

    def __init__(self, select: Callable[[str], Family | None]) -> None:
        """Store ``select``, which returns the family of a selected field and None for others."""
        self._select = select
        self._names: list[str] = []
        self._selected: list[tuple[int, Family]] = []

    def parse(self, text: str) -> Metrics:
        """Return the values of the selected fields."""
        words = text.split()
        names = words[::2]
        if names != self._names:
            found = [(position, self._select(name)) for position, name in enumerate(names)]
            self._selected = [(position, family) for position, family in found if family is not None]
            self._names = names
        values = words[1::2]
        return [single(family, int(values[position])) for position, family in self._selected]
