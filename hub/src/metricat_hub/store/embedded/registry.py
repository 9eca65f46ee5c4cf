"""The series of the store. Active series are in the index in memory, idle series only in the file."""

from __future__ import annotations

import sqlite3
import zlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from metricat_hub.model.labels import NAME, metric_name
from metricat_hub.promql.matchers import predicate
from metricat_hub.store.embedded.core import decode_labels
from metricat_hub.store.embedded.database import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Matcher
    from metricat_hub.model.samples import Numbers
    from metricat_hub.store.embedded.core import Core

_AT_ONCE = 1000
"""The number of series that leave the index in one transaction."""


def resolve(core: Core, labels: Sequence[Labels]) -> Numbers:
    """Return the number of each series; -1 if it is rejected. Add new series, and reactivate idle ones."""
    with core.index_mutex:
        known = core.index.numbers
        numbers = np.array([known.get(one, -1) for one in labels], np.int64)
    missing = np.flatnonzero(numbers < 0).tolist()
    if not missing:
        return numbers
    with core.mutex:
        core.check_open()
        added = _add(core, [one for one in dict.fromkeys(labels[at] for at in missing) if one not in known])
        for at in missing:
            numbers[at] = added.get(labels[at], known.get(labels[at], -1))
    return numbers


def _add(core: Core, labels: Sequence[Labels]) -> dict[Labels, int]:
    room = max(0, core.settings.series_limit - len(core.index))
    core.refused_series += max(0, len(labels) - room)
    added: dict[Labels, tuple[int, int, int]] = {}
    never = np.iinfo(np.int64).max
    try:
        with transaction(core.writer):
            for one in labels[:room]:
                encoded = msgspec.json.encode(one)
                digest = zlib.crc32(encoded)
                added[one] = _wake(core, encoded, digest) or (
                    core.writer.execute(
                        "INSERT INTO series (name, hash, labels) VALUES (?, ?, ?)", (metric_name(one), digest, encoded)
                    ).lastrowid
                    or 0,
                    int(never),
                    0,
                )
    except sqlite3.Error as error:
        raise core.unavailable(error) from error
    with core.index_mutex:
        for one, (number, first, newest) in added.items():
            core.index.add(one, number)
            core.times.add(number, first, newest)
    return {one: number for one, (number, _, _) in added.items()}


def _wake(core: Core, encoded: bytes, digest: int) -> tuple[int, int, int] | None:
    """Return the number and the times of an idle series with these labels, which is idle no longer."""
    if not core.newest_idle:
        return None
    statement = "SELECT number, labels, first, last FROM series WHERE idle AND hash = ?"
    for number, data, first, last in core.writer.execute(statement, (digest,)).fetchall():
        if data == encoded:
            core.writer.execute("UPDATE series SET idle = 0 WHERE number = ?", (number,))
            return number, first, last
    return None


def match(
    core: Core, matchers: Sequence[Matcher], start: int, end: int, limit: int = -1
) -> tuple[NDArray[np.int32], Mapping[int, Labels]]:
    """Return numbers (ascending) and labels of the matching series that may have samples from start to end.

    Args:
        core: the store.
        matchers: a series must match all of them.
        start: the earliest time.
        end: the latest time.
        limit: the approximate number of idle series after which to stop; -1: no limit.
    """
    with core.index_mutex:
        numbers, labels = core.index.match_labels(matchers)
        inside = (core.times.newest[numbers] >= start) & (core.times.first[numbers] <= end)
        if not bool(inside.all()):
            numbers = numbers[inside]
            labels = {number: labels[number] for number in numbers.tolist()}
    if core.newest_idle >= start and core.newest_idle:
        idle = _match_idle(core, matchers, start, end, limit)
        # A series that is in both has left the index, or returned to it, between the two.
        labels = idle | labels
        numbers = np.sort(np.fromiter(labels, np.int32, len(labels)))
    return numbers, labels


def _match_idle(core: Core, matchers: Sequence[Matcher], start: int, end: int, limit: int) -> dict[int, Labels]:
    statement = "SELECT number, labels FROM series WHERE idle AND last >= ? AND first <= ?"
    values: list[object] = [start, end]
    for one in matchers:
        if one.name == NAME and one.operator == "=":
            statement += " AND name = ?"
            values.append(one.value)
    accepts = [(one.name, predicate(one)) for one in matchers]
    found: dict[int, Labels] = {}
    with core.readers.borrow() as connection:
        for number, data in connection.execute(statement, values):
            labels = decode_labels(data)
            by_name = dict(labels)
            if all(accept(by_name.get(name, "")) for name, accept in accepts):
                found[number] = labels
                if len(found) == limit:
                    break
    return found


def remove_idle(core: Core, now: int, unsampled_below: int) -> int:
    """Remove series without a sample for longer than `settings.idle` from the index; return about how many.

    Args:
        core: the store.
        now: the time in milliseconds.
        unsampled_below: also remove series with a lower number that never had a sample.
    """
    with core.mutex:
        times = core.times
        active = np.flatnonzero(times.active)
        newest = times.newest[active]
        stale = np.where(newest > 0, newest < now - core.settings.idle, active < unsampled_below)
        numbers = active[stale]
    for at in range(0, len(numbers), _AT_ONCE):
        with core.mutex:
            part = numbers[at : at + _AT_ONCE]
            # A sample may have arrived since, and a sample in memory needs its series.
            newest = times.newest[part]
            part = part[(newest == 0) | (newest < now - core.settings.idle)]
            rows = [(int(times.first[one]), int(times.newest[one]), one) for one in part.tolist()]
            with transaction(core.writer):
                core.writer.executemany("UPDATE series SET idle = 1, first = ?, last = ? WHERE number = ?", rows)
            with core.index_mutex:
                for number in part.tolist():
                    core.index.remove(number)
                times.active[part] = False
                core.newest_idle = max(core.newest_idle, 1, *(last for _, last, _ in rows))
            core.generation += 1
    return len(numbers)


def delete_expired(core: Core, before: int) -> int:
    """Delete at most 10,000 idle series without samples since `before`; return their number."""
    with core.mutex:
        return core.writer.execute(
            "DELETE FROM series WHERE number IN (SELECT number FROM series WHERE idle AND last < ? LIMIT ?)",
            (before, 10 * _AT_ONCE),
        ).rowcount
