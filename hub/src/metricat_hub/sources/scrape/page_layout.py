"""Fast reader of a scrape response (page) with the same lines as the previous one: it reads only changing values.

A page consists of fixed texts with values between them. At first, the whole page is one fixed text. When the value of
a line changes, the reader splits the text there, and reads this value from then on. Most lines never change, so the
reader compares a few hundred texts instead of splitting the page into lines. See docs/design/0030-scraper.md.
"""

from __future__ import annotations

from itertools import compress, count
from operator import ne
from typing import TYPE_CHECKING, NamedTuple

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
_OTHER = frozenset({b"#", b""})
"""How comments and blank lines start."""
_decode = msgspec.json.Decoder(list[float]).decode


class PageLayout:
    """The lines of a page, and the values of the last page with these lines. Not thread-safe."""

    __slots__ = (
        "_is_divided",
        "_openmetrics",
        "_places",
        "_rest",
        "_sizes",
        "_texts",
        "_values",
        "added",
        "kept",
        "slots",
        "total",
    )

    def __init__(self, page: bytes, values: Values, *, openmetrics: bool) -> None:
        """Describe a page.

        Args:
            page: the page. Each line is a comment, blank, or a series, a space and its value.
            values: the values of all samples.
            openmetrics: the format.
        """
        self._openmetrics = openmetrics
        self._values = values
        self._texts: list[bytes] = []
        """The fixed text before each value. It begins at the line break after the value before."""
        self._sizes: list[int] = []
        """The length of each of these texts."""
        self._rest = page
        """The fixed text after the last value."""
        self._is_divided = True
        """Whether the last page divided a text. Then the next page probably divides another one."""
        self._places: NDArray[np.intp] = np.empty(0, np.intp)
        """The index of each value among the values of all samples."""
        self.kept: NDArray[np.int64] | None = None
        """Indices of the stored samples among all samples of the page; None: all samples are stored."""
        self.slots: Numbers = _NO_SLOTS
        """The slots of the stored samples: see `series_cache.Reading`."""
        self.total = self.added = 0

    def read(self, page: bytes, *, openmetrics: bool) -> Values | None:
        """Return the values of the stored samples; None if the page needs the full parser, as its lines changed."""
        if self._openmetrics is not openmetrics:
            return None
        tokens = None if self._is_divided else self._known_tokens(page)
        if tokens is None:
            tokens = self._divided_tokens(page)
        if tokens is None:
            return None
        values = self._values
        if tokens:
            found = values_of(tokens)
            if found is None:
                return None
            # A new array: the store may keep the one of the last page.
            values = values.copy()
            values[self._places] = found
            self._values = values
        return values if self.kept is None else values[self.kept]

    def _known_tokens(self, page: bytes) -> list[bytes] | None:
        """Return the values between the texts; None: the page has other texts."""
        tokens: list[bytes] = []
        at = 0
        for size in self._sizes:
            at += size
            end = page.find(b"\n", at)
            tokens.append(page[at:end])
            at = end
        parts = self._texts * 2
        parts[::2] = self._texts
        parts[1::2] = tokens
        parts.append(self._rest)
        # One comparison of bytes verifies all texts and the places of all values.
        return tokens if b"".join(parts) == page else None

    def _divided_tokens(self, page: bytes) -> list[bytes] | None:
        """Divide the texts at more values that differ in a page, and return all values; None: other lines."""
        texts: list[bytes] = []
        tokens: list[bytes] = []
        places: list[int] = []
        at = 0
        for text, place in zip([*self._texts, self._rest], [*self._places.tolist(), None], strict=True):
            if page.startswith(text, at):
                texts.append(text)
                at += len(text)
            else:
                divided = _divide(text, page, at, places[-1] + 1 if places else 0)
                if divided is None:
                    return None
                texts += divided.texts
                tokens += divided.tokens
                places += divided.places
                at = divided.end
            if place is not None:
                end = page.find(b"\n", at)
                if end < 0:
                    return None
                tokens.append(page[at:end])
                places.append(place)
                at = end
        if at != len(page):
            return None
        self._rest = texts.pop()
        self._is_divided = len(texts) > len(self._texts)
        self._texts = texts
        self._sizes = list(map(len, texts))
        self._places = np.array(places, np.intp)
        return tokens


class _Divided(NamedTuple):
    """A text that is divided at values."""

    texts: list[bytes]
    """The texts before, between and after the values."""
    tokens: list[bytes]
    """The values."""
    places: list[int]
    """The index of each value among the values of all samples."""
    end: int
    """The end of the last text in the page."""


def _divide(text: bytes, page: bytes, start: int, place: int) -> _Divided | None:
    """Divide a text at the values that differ in the lines that a page has in its place.

    Args:
        text: the text.
        page: the page.
        start: where the text starts in the page.
        place: the number of samples before the text.

    Returns:
        The parts of the text. None: the page has other lines.
    """
    lines = text.split(b"\n")
    end = start
    for _ in lines[:-1]:
        end = page.find(b"\n", end) + 1
        if not end:
            return None
    # The last line of a text has no value: it is the series before the next value, or empty.
    if not page.startswith(lines[-1], end):
        return None
    end += len(lines[-1])
    others = page[start:end].split(b"\n")
    divided = _Divided([], [], [], end)
    first = 0
    for at in compress(count(), map(ne, lines, others)):
        line, other = lines[at], others[at]
        # A value has no space, so the series ends before the last one. Other lines must be the same.
        series = line[: line.rfind(b" ") + 1]
        if line[:1] in _OTHER or not series or not other.startswith(series):
            return None
        before = lines[first:at]
        place += sum(one[:1] not in _OTHER for one in before)
        divided.texts.append(b"\n".join([*before, series]))
        divided.tokens.append(other[len(series) :])
        divided.places.append(place)
        place += 1
        lines[at] = b""
        first = at
    divided.texts.append(b"\n".join(lines[first:]))
    return divided


def values_of(tokens: Sequence[bytes]) -> Values | None:
    """Parse values; return None if one of them is not valid."""
    text = b",".join(tokens)
    # JSON's numbers are Go's, apart from the sign of -0, and from white space that JSON ignores.
    if b"-0" not in text and b" " not in text and b"\r" not in text and b"\t" not in text:
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
