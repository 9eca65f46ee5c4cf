"""The series of the store. Active series are in the index in memory, idle series only in the database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME, metric_name
from metricat_hub.promql.matchers import predicate
from metricat_hub.store.postgresql.binary import Integers, Moment, Moments
from metricat_hub.store.postgresql.state import (
    as_json,
    decode_labels,
    encode_labels,
    is_storable,
    name_filter,
    storable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Matcher
    from metricat_hub.model.samples import Numbers
    from metricat_hub.store.postgresql.state import State

_AT_ONCE = 1000
"""The most series that one statement adds, or that leave the index in one step."""
_NEVER = int(np.iinfo(np.int64).max)
_ADD = """
INSERT INTO metricat.series (name, labels, encoded, digest)
SELECT name, labels::jsonb, encoded, digest::uuid
FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::text[]) AS new (name, labels, encoded, digest)
ON CONFLICT (digest) DO UPDATE SET idle = false
RETURNING encoded, number, (extract(epoch FROM first) * 1000)::bigint, (extract(epoch FROM last) * 1000)::bigint
"""


def resolve(state: State, labels: Sequence[Labels]) -> Numbers:
    """Return the number of each series; -1 if it is rejected. Add new series, and reactivate idle ones."""
    state.ready()
    with state.index_mutex:
        known = state.index.numbers
        numbers = np.array([known.get(one, -1) for one in labels], np.int64)
    missing = np.flatnonzero(numbers < 0).tolist()
    if not missing:
        return numbers
    with state.mutex, state.writer() as connection:
        known = state.index.numbers
        wanted = [one for one in dict.fromkeys(labels[at] for at in missing) if one not in known]
        room = max(0, state.settings.series_limit - len(state.index))
        state.refused_series += max(0, len(wanted) - room)
        for at in range(0, min(room, len(wanted)), _AT_ONCE):
            part = wanted[at : min(at + _AT_ONCE, room)]
            encoded = [encode_labels(one) for one in part]
            rows = connection.execute(
                _ADD,
                (
                    [storable(metric_name(one)) for one in part],
                    [as_json(one) for one in part],
                    encoded,
                    [hashlib.blake2b(one, digest_size=16).hexdigest() for one in encoded],
                ),
            ).fetchall()
            by_encoding = dict(zip(encoded, part, strict=True))
            with state.index_mutex:
                for data, number, first, newest in rows:
                    state.index.add(by_encoding[bytes(data)], number)
                    state.times.add(number, _NEVER if first is None else first, newest or 0)
        for at in missing:
            numbers[at] = known.get(labels[at], -1)
    return numbers


def match(
    state: State, matchers: Sequence[Matcher], start: int, end: int, limit: int = -1
) -> tuple[NDArray[np.int32], Mapping[int, Labels]]:
    """Return numbers (ascending) and labels of the matching series that may have samples from start to end.

    Args:
        state: the store.
        matchers: a series must match all of them.
        start: the earliest time.
        end: the latest time.
        limit: the approximate number of idle series after which to stop; -1: no limit.
    """
    state.ready()
    with state.index_mutex:
        numbers = state.index.match(matchers)
        numbers = numbers[(state.times.newest[numbers] >= start) & (state.times.first[numbers] <= end)]
        labels = {number: state.index.labels[number] for number in numbers.tolist()}
    if state.newest_idle >= start and state.newest_idle:
        # A series that is in both has left the index, or returned to it, between the two.
        labels = _match_idle(state, matchers, start, end, limit) | labels
        numbers = np.sort(np.fromiter(labels, np.int32, len(labels)))
    return numbers, labels


def _match_idle(state: State, matchers: Sequence[Matcher], start: int, end: int, limit: int) -> dict[int, Labels]:
    statement = "SELECT number, encoded FROM metricat.series WHERE idle AND last >= %s AND first <= %s"
    values: list[object] = [Moment(start), Moment(end)]
    equal = [one for one in matchers if one.operator == "=" and one.value and is_storable(one.name + one.value)]
    for one in equal:
        if one.name == NAME:
            statement += " AND name = %s"
            values.append(one.value)
    if equal:
        statement += " AND labels @> %s::jsonb"
        values.append(name_filter((one.name, one.value) for one in equal))
    accepts = [(one.name, predicate(one)) for one in matchers]
    found: dict[int, Labels] = {}
    with state.connections.reader() as connection, connection.cursor() as cursor:
        for number, data in cursor.stream(statement, values, size=_AT_ONCE):
            labels = decode_labels(data)
            by_name = dict(labels)
            if all(accept(by_name.get(name, "")) for name, accept in accepts):
                found[number] = labels
                if len(found) == limit:
                    break
    return found


def remove_idle(state: State, now: int, unsampled_below: int) -> int:
    """Remove series without a sample for longer than `settings.idle` from the index; return about how many.

    Args:
        state: the store.
        now: the time in milliseconds.
        unsampled_below: also remove series with a lower number that never had a sample.
    """
    with state.mutex:
        times = state.times
        active = np.flatnonzero(times.active)
        newest = times.newest[active]
        stale = np.where(newest > 0, newest < now - state.settings.idle, active < unsampled_below)
        numbers = active[stale]
    for at in range(0, len(numbers), _AT_ONCE):
        with state.mutex, state.writer() as connection:
            part = numbers[at : at + _AT_ONCE]
            # A sample may have arrived since.
            newest = times.newest[part]
            part = part[(newest == 0) | (newest < now - state.settings.idle)]
            first = np.where(times.first[part] == _NEVER, 0, times.first[part])
            connection.execute(
                "UPDATE metricat.series SET idle = true, first = new.first, last = new.last "
                "FROM unnest(%s, %s, %s) AS new (number, first, last) WHERE series.number = new.number",
                (Integers(part), Moments(first), Moments(times.newest[part])),
            )
            with state.index_mutex:
                for number in part.tolist():
                    state.index.remove(number)
                times.active[part] = False
                state.newest_idle = max(state.newest_idle, 1, int(times.newest[part].max(initial=0)))
            state.generation += 1
    return len(numbers)


def delete_expired(state: State, before: int) -> None:
    """Delete at most 10,000 idle series without samples since `before`."""
    with state.mutex, state.writer() as connection:
        connection.execute(
            "DELETE FROM metricat.series WHERE number IN "
            "(SELECT number FROM metricat.series WHERE idle AND last < %s LIMIT %s)",
            (Moment(before), 10 * _AT_ONCE),
        )
