"""A cache of the series of one target by their text, so that only new lines of a page are parsed in full.

A page is the body of a scrape response. It is read in one of three ways, each the fallback of the previous one:

1. The page has the same lines as the last one, except for values: only values that may change are read.
2. Most lines are known: a dictionary maps the text before the value to the series. Unknown lines are parsed.
3. `page.parse` reads the whole page, if it has errors, values beyond limits, or label values with line breaks.

See docs/design/0030-scraper.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import chain, compress, repeat
from operator import not_
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.sources.scrape import page as pages
from metricat_hub.sources.scrape.page import Meta, PageError, Sample, SeriesTextError
from metricat_hub.sources.scrape.page_layout import PageLayout, values_of
from metricat_hub.sources.scrape.series_labels import SeriesLabels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Writer
    from metricat_hub.model.samples import Numbers, Values
    from metricat_hub.sources.scrape.target import Target

_DROPPED = -1
_UNRESOLVED = -2
_AHEAD = 10 * 60_000
"""The most milliseconds by which an explicit timestamp may be after the scrape, as in Prometheus."""
_OTHER = frozenset({b"#", b""})
"""How comments and blank lines start."""
_MOST_LINES = 5
"""The most cached lines, including comments, as a multiple of the known series."""
_MOST_SHARED = 200_000
_NO_SLOTS: Numbers = np.empty(0, dtype=np.int64)
_NO_VALUES: Values = np.empty(0, dtype=np.float64)

_shared_texts: dict[bytes, bytes] = {}
"""Shared text objects of series for all targets, because the agents of a cluster export nearly the same series."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples and the metadata of one page. A slot is the number of a series within the cache."""

    slots: Numbers = field(default_factory=lambda: _NO_SLOTS)
    values: Values = field(default_factory=lambda: _NO_VALUES)
    times: NDArray[np.int64] | None = None
    """Timestamps in milliseconds; None: all samples have the time of the scrape."""
    stale: Numbers = field(default_factory=lambda: _NO_SLOTS)
    """Slots of the series that the previous scrape had and this scrape does not have."""
    total: int = 0
    """The number of samples in the page before any error."""
    added: int = 0
    """The number of samples after relabelling."""
    new: int = 0
    """The number of series that no previous scrape had."""
    too_new: int = 0
    """The number of samples whose timestamps are too far in the future."""
    metas: Sequence[Meta] = ()
    """HELP, TYPE and UNIT lines; empty when the page has the same lines as before."""
    error: str = ""
    """Why the scrape failed; empty: it succeeded."""


class _Lines(NamedTuple):
    """The samples of a page as columns. The lists are changed in place."""

    heads: list[bytes]
    texts: list[bytes]
    """The text of the series."""
    slots: list[int | None]
    """None: the series is new."""
    tokens: list[bytes]
    """The values."""
    times: dict[int, int]
    """Explicit timestamps by position."""
    new: dict[int, Sample]
    """The samples of new series by position."""


class _Columns:
    """The samples of one page, collected while the page is read."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.values: list[float] = []
        self.known_values: Values | None = None
        """The values as an array, instead of the list."""
        self.times: dict[int, int] = {}
        """Explicit timestamps by position in the other lists."""
        self.kept: list[int] = []
        """Positions of these samples among all of the page; unused when all are stored."""
        self.total = self.added = self.new = self.appended = self.too_new = 0
        self.metas: list[Meta] = []
        self.texts: set[bytes] = set()
        self.seen: set[int] = set()


class SeriesCache:
    """The cache of the series of one target. Not thread-safe."""

    def __init__(self, target: Target) -> None:
        job = target.job
        self._labels = SeriesLabels(target)
        self._honor_timestamps = job.honor_timestamps
        self._track_timestamps = job.track_timestamps_staleness
        self._limits = job.limits
        self._slots: dict[bytes, int] = {}
        self._texts: list[bytes] = []
        self._kinds: dict[int, bytes] = {}
        """The type of the metric by slot, where the labels depend on it."""
        self._pending: dict[int, Labels] = {}
        """Labels of series whose number the store has not given yet."""
        self._numbers: Numbers = _NO_SLOTS
        self._generation = -1
        self._previous: Numbers = _NO_SLOTS
        self._layout: PageLayout | None = None
        self._openmetrics = False
        self._others: list[bytes] = []
        """The comments and blank lines of the last page whose metadata was returned."""
        self._compact: set[bytes] | None = None
        self._successful = 0

    def __len__(self) -> int:
        """Return the number of texts of series, including those that relabelling drops."""
        return len(self._slots)

    def read(self, page: bytes, *, openmetrics: bool, now: int) -> Reading:
        """Return the samples of a page. For an invalid page, return the error, with all series stale."""
        if not page:
            return Reading(stale=self._replace_previous(_NO_SLOTS))
        layout = self._layout
        values = layout.read(page, openmetrics=openmetrics) if layout else None
        if layout and values is not None:
            stale = self._replace_previous(layout.slots)
            return Reading(layout.slots, values, stale=stale, total=layout.total, added=layout.added)
        reading = None
        # Each line is an object. A page with many more lines than known series is read without splitting it.
        if page.count(b"\n") <= _MOST_LINES * (len(self._slots) + 1000):
            reading = self._read_known_lines(page, openmetrics=openmetrics, now=now)
        return reading or self._read_all(page, openmetrics=openmetrics, now=now)

    def fail(self, error: str) -> Reading:
        """Return the result of a failed scrape: an error, with all series stale."""
        return Reading(stale=self._replace_previous(_NO_SLOTS), error=error)

    def resolve(self, writer: Writer, slots: Numbers) -> Numbers:
        """Return the store's number of each slot; -1 if the store rejected the series."""
        if self._generation != writer.generation:
            self._generation = writer.generation
            self._numbers[:] = _UNRESOLVED
        if len(self._numbers) < len(self._texts):
            grown = np.full(len(self._texts) * 5 // 4 + 8, _UNRESOLVED, dtype=np.int64)
            grown[: len(self._numbers)] = self._numbers
            self._numbers = grown
        numbers = self._numbers[slots]
        if len(numbers) and numbers.min() == _UNRESOLVED:
            missing = distinct(slots[numbers == _UNRESOLVED])
            self._numbers[missing] = writer.resolve([self._labels_of_slot(slot) for slot in missing.tolist()])
            for slot in missing.tolist():
                self._pending.pop(slot, None)
            numbers = self._numbers[slots]
        return numbers

    def forget_numbers(self, slots: Numbers) -> None:
        """Forget the store's numbers of the series with these slots. The next use resolves the series again."""
        self._numbers[slots] = _UNRESOLVED

    def retry_stale(self, slots: Numbers) -> None:
        """Report the series with these slots as stale again, because the store did not store their markers."""
        self._previous = distinct(np.concatenate((self._previous, slots)))

    def live(self) -> Numbers:
        """Return the slots of the series in the last scrape, which need a staleness marker when the target ends."""
        return self._previous

    def clean(self) -> None:
        """Remove series that the last page did not have. Call this after the samples of the page are stored."""
        texts, self._compact = self._compact, None
        if texts is None or len(texts) == len(self._slots):
            return
        kept = [(text, slot) for text, slot in self._slots.items() if text in texts]
        old = sorted(slot for _, slot in kept if slot != _DROPPED)
        places = {slot: place for place, slot in enumerate(old)}
        places[_DROPPED] = _DROPPED
        self._slots = {text: places[slot] for text, slot in kept}
        self._texts = [self._texts[slot] for slot in old]
        self._kinds = {places[slot]: kind for slot, kind in self._kinds.items() if slot in places}
        self._pending = {places[slot]: labels for slot, labels in self._pending.items() if slot in places}
        known = np.array([slot for slot in old if slot < len(self._numbers)], dtype=np.int64)
        self._numbers = self._numbers[known]
        self._previous = np.array([places[slot] for slot in self._previous.tolist()], dtype=np.int64)
        if self._layout:
            self._layout.slots = np.array([places[slot] for slot in self._layout.slots.tolist()], dtype=np.int64)

    def _replace_previous(self, slots: Numbers) -> Numbers:
        """Store which series are live; return the series that no longer are."""
        before, self._previous = self._previous, slots
        if before is slots or not len(before):
            return _NO_SLOTS
        return before[~np.isin(before, slots)] if len(slots) else before

    def _read_known_lines(self, page: bytes, *, openmetrics: bool, now: int) -> Reading | None:
        """Return None if `_read_all` has to read the page."""
        if not self._slots or self._openmetrics is not openmetrics:
            return None
        lines = page.split(b"\n")
        is_other = bytes([line[:1] in _OTHER for line in lines])
        is_sample = bytes(map(not_, is_other))
        others = list(compress(lines, is_other))
        metas = self._metas(others, lines, openmetrics=openmetrics)
        if metas is None or not any(is_sample):
            return None
        heads, tails = _split(compress(lines, is_sample))
        slots = list(map(self._slots.get, heads))
        found = _Lines(heads, heads.copy(), slots, tails, {}, {})
        unknown = [at for at, slot in enumerate(slots) if slot is None] if None in slots else []
        places = list(compress(range(len(lines)), is_sample)) if unknown else []
        for at in unknown:
            if not self._parse_line(found, at, lines, places[at], openmetrics=openmetrics):
                return None
        values = values_of(found.tokens)
        if values is None:
            return None
        columns = self._collect(found, values, now)
        if columns is None:
            return None
        columns.metas = metas
        layout = None
        if all(found.texts[at] is heads[at] for at in unknown):
            layout = PageLayout(page, values, openmetrics=openmetrics)
        return self._finished(columns, now, layout)

    def _metas(self, others: list[bytes], lines: list[bytes], *, openmetrics: bool) -> list[Meta] | None:
        """Return the metadata in comments and blank lines, without any if the last page had the same; None: invalid."""
        if openmetrics:
            # The only blank line is what follows the last line break.
            ends = lines[-1] or (lines[-2] if len(lines) > 1 else b"")
            if ends != b"# EOF" or others.count(b"# EOF") != 1 or others.count(b"") != (not lines[-1]):
                return None
        if others == self._others:
            return []
        metas = []
        for line in others:
            if line and (line != b"# EOF" or not openmetrics):
                meta = _meta_line(line, openmetrics=openmetrics)
                if meta is _Invalid.LINE:
                    return None
                if isinstance(meta, Meta):
                    metas.append(meta)
        self._others = list(map(_shared, others))
        return metas

    def _parse_line(self, found: _Lines, at: int, lines: list[bytes], place: int, *, openmetrics: bool) -> bool:
        """Complete the columns for a line that has more than a known series and a value. Return False if invalid."""
        head, tail = found.heads[at], found.tokens[at]
        series, _, value = head.rpartition(b" ")
        slot = self._slots.get(series)
        try:
            if slot is not None and (openmetrics or tail.isdigit()):
                found.times[at] = pages.openmetrics_time(tail) if openmetrics else pages.text_time(tail)
                found.tokens[at] = value
            else:
                line = lines[place] + b"\n"
                sample = next(iter(pages.parse(line, openmetrics=openmetrics)), None)
                if not isinstance(sample, Sample):
                    return False
                series, slot = sample.series, self._slots.get(sample.series)
                found.tokens[at] = repr(sample.value).encode()
                if sample.time is not None:
                    found.times[at] = sample.time
                if slot is None:
                    found.new[at] = sample._replace(kind=_kind_before(lines, place, openmetrics=openmetrics))
        except PageError:
            return False
        found.slots[at] = slot
        if series != head:
            found.texts[at] = series
        return True

    def _collect(self, found: _Lines, values: Values, now: int) -> _Columns | None:
        """Return the samples in the order of the page; None if `_read_all` must read the page."""
        slots, count = found.slots, len(found.slots)
        if self._limits.samples and count > self._limits.samples:
            return None
        columns = _Columns()
        times = found.times if self._honor_timestamps else {}
        distinct = not found.new and _DROPPED not in slots and len(set(slots)) == count
        if distinct and max(times.values(), default=now) <= now + _AHEAD:
            columns.slots, columns.known_values, columns.times = cast("list[int]", slots), values, times
            columns.texts = set(found.texts)
            columns.total = columns.added = count
            return columns
        try:
            for at, (text, value) in enumerate(zip(found.texts, values.tolist(), strict=True)):
                self._add(columns, found.new.get(at) or Sample(text, value, found.times.get(at), b""), now)
        except PageError:
            return None
        return columns

    def _read_all(self, page: bytes, *, openmetrics: bool, now: int) -> Reading:
        columns = _Columns()
        error = ""
        try:
            for entry in pages.parse(page, openmetrics=openmetrics):
                if isinstance(entry, Meta):
                    columns.metas.append(entry)
                else:
                    self._add(columns, entry, now)
        except PageError as problem:
            error = str(problem)
        limit = self._limits.samples
        if not error and limit and columns.appended > limit:
            error = f"the response has more samples than sample_limit, which is {limit}; raise sample_limit"
        if error:
            if len(self._slots) > 2 * self._successful + 1000:
                self._compact = set()
                self._layout = None
            return Reading(
                stale=self._replace_previous(_NO_SLOTS),
                total=columns.total,
                added=columns.added,
                new=columns.new,
                error=error,
            )
        self._openmetrics = openmetrics
        return self._finished(columns, now, None)

    def _add(self, columns: _Columns, sample: Sample, now: int) -> None:
        """Add one sample; raise `PageError` if its series is not valid."""
        slot = self._slots.get(sample.series)
        labels: Labels = ()
        if slot is None:
            try:
                labels = self._labels.of(sample)
            except SeriesTextError:
                raise
            except PageError:
                columns.total += 1
                raise
            if not labels:
                self._slots[_shared(sample.series)] = slot = _DROPPED
        columns.total += 1
        if slot is not None:
            columns.texts.add(sample.series)
        if slot != _DROPPED:
            columns.added += 1
            self._add_stored(columns, sample, slot, labels, now)

    def _add_stored(self, columns: _Columns, sample: Sample, slot: int | None, labels: Labels, now: int) -> None:
        """Add one sample that no rule drops; the slot is None for a new series with these labels."""
        time = sample.time if self._honor_timestamps else None
        if time is None and slot in columns.seen:
            return  # a duplicate; the first sample counts
        columns.appended += 1
        if self._limits.samples and columns.appended > self._limits.samples:
            return
        if time is not None and time > now + _AHEAD:
            columns.too_new += 1
            return
        if slot is None:
            slot = self._admit(sample, labels)
            columns.texts.add(sample.series)
            columns.new += 1
        columns.seen.add(slot)
        columns.kept.append(columns.total - 1)
        if time is not None:
            columns.times[len(columns.slots)] = time
        columns.slots.append(slot)
        columns.values.append(sample.value)

    def _admit(self, sample: Sample, labels: Labels) -> int:
        slot = len(self._texts)
        text = _shared(sample.series)
        self._texts.append(text)
        self._slots[text] = slot
        self._pending[slot] = labels
        if sample.kind in pages.NORMALISED:
            self._kinds[slot] = sample.kind
        return slot

    def _labels_of_slot(self, slot: int) -> Labels:
        if slot in self._pending:
            return self._pending[slot]
        sample = Sample(self._texts[slot], 0.0, None, self._kinds.get(slot, b""))
        return self._labels.of(sample)

    def _finished(self, columns: _Columns, now: int, layout: PageLayout | None) -> Reading:
        slots = np.array(columns.slots, dtype=np.int64)
        values = columns.known_values
        if values is None:
            values = np.array(columns.values, dtype=np.float64)
        times = tracked = None
        if columns.times:
            times = np.full(len(slots), now, dtype=np.int64)
            places = np.fromiter(columns.times, dtype=np.int64, count=len(columns.times))
            times[places] = np.fromiter(columns.times.values(), dtype=np.int64, count=len(columns.times))
            if not self._track_timestamps:
                tracked = distinct(np.delete(slots, places))
        stale = self._replace_previous(slots if tracked is None else tracked)
        self._compact = columns.texts
        self._successful = len(columns.texts)
        self._layout = layout
        if layout:
            layout.kept = None if len(slots) == columns.total else np.array(columns.kept, dtype=np.int64)
            layout.slots, layout.total, layout.added = slots, columns.total, columns.added
        return Reading(
            slots=slots,
            values=values,
            times=times,
            stale=stale,
            total=columns.total,
            added=columns.added,
            new=columns.new,
            too_new=columns.too_new,
            metas=columns.metas,
        )


def _split(lines: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the text before and the text after the last space of each line."""
    # One flat list is faster than tuples for `zip`: each tuple is free again before the next one is made.
    flat = list(chain.from_iterable(map(bytes.rpartition, lines, repeat(b" "))))
    return flat[0::3], flat[2::3]


def _kind_before(lines: list[bytes], place: int, *, openmetrics: bool) -> bytes:
    """Return the type in the last TYPE line before a line."""
    for line in reversed(lines[:place]):
        if line.startswith(b"#"):
            meta = _meta_line(line, openmetrics=openmetrics)
            if isinstance(meta, Meta) and meta.kind:
                return meta.kind
    return b""


class _Invalid(Enum):
    LINE = "a line that is not valid alone"


@lru_cache(maxsize=8192)
def _meta_line(line: bytes, *, openmetrics: bool) -> Meta | _Invalid | None:
    """Return the metadata in a line that starts with #, None for a comment."""
    try:
        entry = next(iter(pages.parse(line + b"\n", openmetrics=openmetrics)), None)
    except PageError:
        return _Invalid.LINE
    return entry if isinstance(entry, Meta) else None


def _shared(text: bytes) -> bytes:
    if len(_shared_texts) > _MOST_SHARED:
        _shared_texts.clear()
    return _shared_texts.setdefault(text, text)
