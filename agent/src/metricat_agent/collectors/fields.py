"""Fields of a kernel's list of names and values, selected by a regular expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import pattern
from metricat_agent.collectors.option import CollectorOption
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, single

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from metricat_agent.host.skips import Skips

_SHOWN = 40


def fields_option(default: str) -> CollectorOption[re.Pattern[str]]:
    """Return the option ``fields``: the regular expression that selects fields."""
    return CollectorOption("fields", default, "expose matching fields", "REGEX", parse=pattern)


class FieldList:
    """Parser of lines ``NAME VALUE``.

    Remember the positions of the selected fields: matching every name at every scrape would cost more.
    """

    def __init__(self, select: Callable[[str], Family | None]) -> None:
        """Store ``select``, which returns the family of a selected field and None for other fields."""
        self._select = select
        self._names: list[str] = []
        self._selected: list[tuple[int, Family]] = []

    def parse(self, text: str, skips: Skips = UNCOUNTED, file: str = "") -> Metrics:
        """Return the values of the selected fields.

        Each line that cannot be parsed counts as a skipped part of ``file``.

        Raise ValueError if no line can be parsed.
        """
        words = text.split()
        names = words[::2]
        if not words or len(words) != 2 * text.count("\n"):
            return self._parse_lines(text, skips, file)
        if names != self._names:
            try:
                found = [(position, self._select(name)) for position, name in enumerate(names)]
            except ValueError:
                return self._parse_lines(text, skips, file)
            self._selected = [(position, family) for position, family in found if family is not None]
            self._names = names
        values = words[1::2]
        try:
            return [single(family, int(values[position])) for position, family in self._selected]
        except ValueError:
            return self._parse_lines(text, skips, file)

    def _parse_lines(self, text: str, skips: Skips, file: str) -> Metrics:
        lines = lines_of(text)
        parsed = [parse_part(skips, f"{file} {line[:_SHOWN]}", self._parse_line, line) for line in lines]
        if parsed.count(None) == len(parsed):
            raise ValueError("no line has a name and a number")
        return [metric for metrics in parsed if metrics for metric in metrics]

    def _parse_line(self, line: str) -> Metrics:
        name, value = line.split()
        number, family = whole(value), self._select(name)
        return [] if family is None else [single(family, number)]
