"""Fast reader of a scrape response (page) with the same lines as the previous one: it reads only changing values.

A page consists of fixed texts with values between them. At first, the whole page is one fixed text. When the value of
a line changes, the reader splits the text there, and reads this value from then on. Most lines never change, so the
reader compares a few hundred texts instead of splitting the page into lines. See docs/design/0030-scraper.md.
"""

from __future__ import annotations

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
_LINE_BREAK = ord("\n")
_OTHER = frozenset({b"#", b""})
"""How comments and blank lines start."""
_decode = msgspec.json.Decoder(list[float]).decode


class PageLayout:
    """The lines of a page, and the values of the last page with these lines. Not thread-safe."""

    __slots__ = (
        "_known",
        "_line_count",
        "_openmetrics",
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
        self._line_count = page.count(b"\n")
        self._texts = [page]
        """The fixed texts. Each begins at the line break after a value and ends before the next value."""
        self._known: NDArray[np.intp] = np.empty((3, 0), np.intp)
        """For each value between the texts: its line, the bytes since the previous line break, and its index."""
        self.kept: NDArray[np.int64] | None = None
        """Indices of the stored samples among all samples of the page; None: all samples are stored."""
        self.slots: Numbers = _NO_SLOTS
        self.total = self.added = 0

    def read(self, page: bytes, *, openmetrics: bool) -> Values | None:
        """Return the values of the stored samples; None if the page needs the full parser, as its lines changed."""
        if self._openmetrics is not openmetrics:
            return None
        breaks = np.flatnonzero(np.frombuffer(page, np.uint8) == _LINE_BREAK)
        if len(breaks) != self._line_count:
            return None
        begins, ends = self._spans(breaks)
        tokens = [page[begin:end] for begin, end in zip(begins, ends, strict=True)]
        if self._joined(tokens) != page and not self._divide(page, begins, ends, tokens):
            return None
        values = self._values
        if tokens:
            found = values_of(tokens)
            if found is None:
                return None
            # A new array: the store may keep the one of the last page.
            values = values.copy()
            values[self._known[2]] = found
            self._values = values
        return values if self.kept is None else values[self.kept]

    def _spans(self, breaks: NDArray[np.intp]) -> tuple[list[int], list[int]]:
        """Return where each value between the texts begins, and where it ends."""
        lines, offsets, _ = self._known
        begins = breaks[lines - 1] + offsets if len(lines) else lines
        if len(lines) and not lines[0]:
            begins[0] = offsets[0] - 1
        return begins.tolist(), breaks[lines].tolist()

    def _joined(self, tokens: list[bytes]) -> bytes:
        """Return the page with these values between the texts."""
        parts = self._texts * 2
        parts[::2] = self._texts
        parts[1:-1:2] = tokens
        parts.pop()
        return b"".join(parts)

    def _divide(self, page: bytes, begins: list[int], ends: list[int], tokens: list[bytes]) -> bool:
        """Divide the texts at more values that differ in a page. Return False if the page has other lines.

        Args:
            page: the page.
            begins: where each value between the texts begins in the page.
            ends: where each value ends.
            tokens: these values; gets the others.
        """
        spans = zip(self._texts, [0, *ends], [*begins, len(page)], strict=True)
        different = [
            (number, begin, end)
            for number, (text, begin, end) in enumerate(spans)
            if end - begin != len(text) or not page.startswith(text, begin)
        ]
        found: list[tuple[int, _Divided]] = []
        if not different:
            return False
        for number, begin, end in different:
            line, _, before = self._known[:, number - 1].tolist() if number else (0, 0, -1)
            lines = self._texts[number].split(b"\n")
            divided = _divide_lines(lines, page[begin:end].split(b"\n"), line, before + 1)
            if divided is None:
                return False
            found.append((number, divided))
        places = [number for number, divided in found for _ in divided.tokens]
        known = [one for _, divided in found for one in divided.known]
        self._known = np.insert(self._known, places, np.array(known, np.intp).T, axis=1)
        for number, divided in reversed(found):
            self._texts[number : number + 1] = divided.texts
            tokens[number:number] = divided.tokens
        return True


class _Divided(NamedTuple):
    """A text that is divided at values."""

    texts: list[bytes]
    tokens: list[bytes]
    """The values between the texts."""
    known: list[tuple[int, int, int]]
    """See `PageLayout._known`."""


def _divide_lines(lines: list[bytes], found: list[bytes], number: int, place: int) -> _Divided | None:
    """Divide a text at the values that differ in the lines that a page has in its place.

    Args:
        lines: the lines of the text.
        found: the lines of the page.
        number: the number of the first line.
        place: the number of samples before the text.

    Returns:
        The parts of the text. None: the page has other lines.
    """
    if len(lines) != len(found) or lines[-1] != found[-1]:
        return None
    divided = _Divided([], [], [])
    part: list[bytes] = []
    for at, (line, other) in enumerate(zip(lines, found, strict=True)):
        is_sample = line[:1] not in _OTHER
        if line == other:
            part.append(line)
        else:
            # A value has no space, so the series ends before the last one. Other lines must be the same.
            series = line[: line.rfind(b" ") + 1]
            if not is_sample or not series or not other.startswith(series):
                return None
            divided.texts.append(b"\n".join([*part, series]))
            divided.tokens.append(other[len(series) :])
            divided.known.append((number + at, len(series) + 1, place))
            part = [b""]
        place += is_sample
    divided.texts.append(b"\n".join(part))
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
