"""A page with the lines of the last one: only values that changed are converted.

See docs/design/0030-scraper.md.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress
from operator import getitem, ne
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from metricat_hub.sources.scrape import page as pages
from metricat_hub.sources.scrape.page import PageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Numbers, Values

_NUMBER_CHARACTERS = b"0123456789.eE+-NaInfity"
_NO_SLOTS: Numbers = np.empty(0, dtype=np.int64)
_decode = msgspec.json.Decoder(list[float]).decode


class PageLayout:
    """The lines of a page, and the values of the last page that had these lines. One thread at a time may use it."""

    __slots__ = (
        "_heads",
        "_is_other",
        "_is_sample",
        "_lengths",
        "_lines",
        "_openmetrics",
        "_others",
        "_tails",
        "_values",
        "added",
        "kept",
        "slots",
        "total",
    )

    def __init__(
        self, is_sample: bytes, is_other: bytes, heads: list[bytes], others: list[bytes], *, openmetrics: bool
    ) -> None:
        """Describe a page.

        Args:
            is_sample: for each line 1 if it is a sample, otherwise 0. Bytes need a tenth of a list's memory.
            is_other: for each line 1 if it is a comment or blank.
            heads: the text before the last space of each sample.
            others: comments and blank lines.
            openmetrics: the format.
        """
        self._openmetrics = openmetrics
        self._is_sample = is_sample
        self._is_other = is_other
        self._heads = heads
        self._lengths = list(map(len, heads))
        self._tails = list(map(_tail, self._lengths))
        self._others = others
        self._lines: list[bytes] = [b"\n"] * len(heads)  # differs from every line
        self._values: Values = np.zeros(len(heads))
        self.kept: NDArray[np.int64] | None = None
        """Positions of the samples that are stored, among all samples; None: all."""
        self.slots: Numbers = _NO_SLOTS
        self.total = self.added = 0

    def read(self, lines: list[bytes], *, openmetrics: bool) -> Values | None:
        """Return the values of the samples that are stored; None if the page has other lines, or an unusual value."""
        if (
            len(lines) != len(self._is_sample)
            or self._openmetrics is not openmetrics
            or list(compress(lines, self._is_other)) != self._others
        ):
            return None
        samples = list(compress(lines, self._is_sample))
        differs = bytes(map(ne, samples, self._lines))
        changed = list(compress(samples, differs))
        if not all(map(bytes.startswith, changed, compress(self._heads, differs))):
            return None
        try:
            if bytes(map(getitem, changed, compress(self._lengths, differs))) != b" " * len(changed):
                return None
        except IndexError:  # a line ends with its series
            return None
        found = values_of([line[tail] for line, tail in zip(changed, compress(self._tails, differs), strict=True)])
        if found is None:
            return None
        # A new array: the store may keep the one of the last page.
        values = self._values.copy()
        values[np.frombuffer(differs, np.bool_)] = found
        self._lines, self._values = samples, values
        return values if self.kept is None else values[self.kept]


def values_of(tokens: Sequence[bytes]) -> Values | None:
    """Return the values, or None if one of them is not valid."""
    text = b",".join(tokens)
    # JSON's numbers are Go's, apart from the sign of -0, and from white space that JSON ignores.
    if b"-0" not in text and b"\r" not in text and b"\t" not in text:
        try:
            numbers = _decode(b"[%b]" % text)
        except msgspec.DecodeError:
            pass
        else:
            if len(numbers) == len(tokens):
                return np.array(numbers, dtype=np.float64)
    return _unusual_values(tokens)


def _unusual_values(tokens: Sequence[bytes]) -> Values | None:
    """Return values of which some are not numbers in JSON, such as NaN; None if one of them is not valid."""
    try:
        values = np.fromiter(map(float, tokens), dtype=np.float64, count=len(tokens))
    except ValueError:
        return None
    if b"".join(tokens).translate(None, _NUMBER_CHARACTERS):
        return None
    finite = np.isfinite(values)
    if not finite.all():
        try:
            for at in np.flatnonzero(~finite).tolist():
                pages.parse_value(tokens[at])
        except PageError:
            return None
    return values


@lru_cache(maxsize=4096)
def _tail(length: int) -> slice:
    """Return where the value is after a text and a space: one object for all lines with this length."""
    return slice(length + 1, None)
