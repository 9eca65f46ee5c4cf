"""The layout with TimescaleDB: a hypertable, two continuous aggregates, and policies of the extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.samples import is_stale
from metricat_hub.store.embedded.core import Progress
from metricat_hub.store.embedded.encoding import Chunk
from metricat_hub.store.embedded.settings import HOUR, MINUTE
from metricat_hub.store.postgresql.binary import (
    Floats,
    Integers,
    Moment,
    Moments,
    decode_floats,
    decode_moments,
)
from metricat_hub.store.postgresql.state import decode_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from psycopg import Connection

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.selection import Segment
    from metricat_hub.store.postgresql.state import State

_INSERT = """
INSERT INTO metricat.samples
SELECT series, time, value, nullif(lost, 0) FROM unnest(%s, %s, %s, %s) AS new (series, time, value, lost)
ON CONFLICT DO NOTHING
"""
_RAW = """
SELECT series, array_send(array_agg(time)), array_send(array_agg(value)) FROM (
    SELECT series, time, value FROM metricat.samples WHERE series = ANY(%s) AND time BETWEEN %s AND %s
    ORDER BY series, time
) AS found GROUP BY series ORDER BY series
"""
_SERIES = """
SELECT number, encoded, least(series.first, oldest.time), greatest(series.last, newest.time), newest.value
FROM metricat.series
LEFT JOIN LATERAL (
    SELECT time, value FROM metricat.samples WHERE samples.series = number ORDER BY time DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT time FROM metricat.samples WHERE samples.series = number ORDER BY time LIMIT 1
) AS oldest ON true
WHERE NOT idle ORDER BY number
"""
_POLICIES = """
SELECT remove_compression_policy('metricat.samples', if_exists => true);
SELECT add_compression_policy('metricat.samples', compress_after => interval '{compress}');
SELECT remove_retention_policy('metricat.samples', if_exists => true);
SELECT add_retention_policy('metricat.samples', drop_after => interval '{raw} milliseconds');
SELECT remove_continuous_aggregate_policy('metricat.buckets_1m', if_exists => true);
SELECT add_continuous_aggregate_policy('metricat.buckets_1m', start_offset => interval '{refresh} milliseconds',
    end_offset => interval '2 minutes', schedule_interval => interval '5 minutes');
SELECT remove_continuous_aggregate_policy('metricat.buckets_1h', if_exists => true);
SELECT add_continuous_aggregate_policy('metricat.buckets_1h', start_offset => interval '{refresh} milliseconds',
    end_offset => interval '1 hour', schedule_interval => interval '30 minutes');
SELECT remove_retention_policy('metricat.buckets_1m', if_exists => true);
SELECT add_retention_policy('metricat.buckets_1m', drop_after => interval '{minutes} milliseconds');
SELECT remove_retention_policy('metricat.buckets_1h', if_exists => true);
SELECT add_retention_policy('metricat.buckets_1h', drop_after => interval '{hours} milliseconds');
"""
_COMPRESS_AFTER = "8 hours"
"""Later than a chunk's end and the out-of-order window, so that late samples do not change compressed chunks."""


class TimescaleLayout:
    """A hypertable of rows. The extension compresses it, aggregates it and drops old chunks."""

    name = "timescaledb"

    def __init__(self, state: State) -> None:
        self._state = state
        self._values: Values = np.full(1024, np.nan)
        """The value of the newest sample of each series; NaN: unknown."""
        self._begin = 0

    def prepare(self, connection: Connection) -> None:
        """See `Layout.prepare`."""
        if self._state.read_only:
            return
        settings = self._state.settings
        # Refreshing what the retention has dropped would remove points, so refreshing begins later.
        refresh = min(settings.raw_retention - 6 * HOUR, 24 * HOUR) if settings.raw_retention > 12 * HOUR else 3 * HOUR
        text = _POLICIES.format(
            compress=_COMPRESS_AFTER,
            raw=settings.raw_retention,
            minutes=settings.minute_retention,
            hours=settings.hour_retention,
            refresh=refresh,
        )
        with connection.transaction():
            connection.execute(text.encode())

    def active_series(self, connection: Connection) -> Iterator[tuple[int, Labels, int | None, int | None]]:
        """See `Layout.active_series`."""
        for number, data, first, newest, value in connection.execute(_SERIES).fetchall():
            self._grow(number)
            self._values[number] = np.nan if value is None else value
            yield number, decode_labels(data), _milliseconds(first), _milliseconds(newest)

    def insert(self, connection: Connection, series: NDArray[np.int32], times: Times, values: Values) -> None:
        """See `Layout.insert`."""
        lost, newest = self._lost(series, times, values)
        connection.execute(_INSERT, (Integers(series), Moments(times), Floats(values), Floats(lost)))
        numbers, found = newest
        self._values[numbers] = found

    def raw(
        self, connection: Connection, numbers: NDArray[np.int32], start: int, end: int
    ) -> Iterator[tuple[int, Times, Values]]:
        """See `Layout.raw`."""
        cursor = connection.execute(_RAW, (Integers(numbers), Moment(start), Moment(end)), binary=True)
        for number, times, values in cursor:
            yield number, decode_moments(times), decode_floats(values)

    def points(
        self, connection: Connection, segment: Segment, numbers: NDArray[np.int32], wanted: Sequence[str]
    ) -> Iterator[tuple[int, Chunk]]:
        """See `Layout.points`."""
        tier = segment.layout.tier
        shift = segment.layout.resolution - 1
        names = [f"coalesce({name}, 0)" if name == "lost" else f"coalesce({name}, 'NaN')" for name in wanted]
        aggregates = ", ".join(f"array_send(array_agg({name} ORDER BY bucket))" for name in names)
        cursor = connection.execute(
            f"SELECT series, array_send(array_agg(bucket ORDER BY bucket)), {aggregates} "  # noqa: S608 -- constants
            f"FROM metricat.buckets_{tier} WHERE series = ANY(%s) AND bucket BETWEEN %s AND %s "
            "GROUP BY series ORDER BY series",
            (Integers(numbers), Moment(segment.start - shift), Moment(segment.end - shift)),
            binary=True,
        )
        for number, buckets, *columns in cursor:
            found = {name: decode_floats(data) for name, data in zip(wanted, columns, strict=True)}
            yield number, Chunk(decode_moments(buckets) + shift, found)

    def progress(self, now: int) -> Progress:
        """See `Layout.progress`."""
        # Aggregates are computed from samples where the extension has not stored them yet, so they have every
        # complete interval, but late samples change recent ones.
        settings = self._state.settings
        done = now - settings.out_of_order
        return Progress(
            by_minute=done // MINUTE * MINUTE,
            by_hour=done // HOUR * HOUR,
            dropped_raw=(now - settings.raw_retention) // HOUR * HOUR,
            dropped_1m=(now - settings.minute_retention) // HOUR * HOUR,
            dropped_1h=(now - settings.hour_retention) // HOUR * HOUR,
        )

    def maintain(self, now: int) -> None:
        """Do nothing: the extension's policies do the work."""
        del now

    def size(self) -> int:
        """See `Layout.size`."""
        with self._state.mutex, self._state.writer() as connection:
            row = connection.execute(
                "SELECT (hypertable_size('metricat.samples') + pg_total_relation_size('metricat.series'))::bigint"
            ).fetchone()
        return int(row[0] or 0) if row else 0

    def _grow(self, number: int) -> None:
        if number >= len(self._values):
            more = max(len(self._values), number + 1 - len(self._values))
            self._values = np.concatenate([self._values, np.full(more, np.nan)])

    @np.errstate(invalid="ignore")
    def _lost(
        self, series: NDArray[np.int32], times: Times, values: Values
    ) -> tuple[Values, tuple[NDArray[np.int32], Values]]:
        """Return how much each sample lost by a reset, and the newest value of each series.

        A late sample is not counted as a reset, nor is the first sample after a start if the one before is unknown.
        """
        lost = np.zeros(len(series))
        if len(series):
            self._grow(int(series[-1]))
        at = np.flatnonzero(~is_stale(values) & (times > self._state.times.newest[series]))
        of, have = series[at], values[at]
        first = np.concatenate([[True], of[1:] != of[:-1]]) if len(at) else np.zeros(0, np.bool_)
        before = np.where(first, self._values[of], np.concatenate([[0.0], have[:-1]]) if len(at) else have)
        lost[at] = np.where(have < before, before, 0.0)
        last = np.append(first[1:], True) if len(at) else first
        return lost, (of[last], have[last])


def _milliseconds(moment: object) -> int | None:
    timestamp = getattr(moment, "timestamp", None)
    return None if timestamp is None else round(timestamp() * 1000)
