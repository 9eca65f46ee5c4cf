"""The layout without an extension: new samples are rows, complete windows are arrays, and both are partitioned by time.

A window is packed when the out-of-order window after it is over. One transaction writes its arrays and its points of
the tier 1m, and drops its rows, so that each reader finds every sample.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import psycopg
from psycopg import errors

from metricat_hub.model.columns import distinct
from metricat_hub.model.labels import metric_name
from metricat_hub.store.embedded import tiers
from metricat_hub.store.embedded.chunks import join
from metricat_hub.store.embedded.encoding import COLUMNS, Chunk
from metricat_hub.store.embedded.selection import Segment
from metricat_hub.store.embedded.settings import DAY, HOUR, MINUTE
from metricat_hub.store.embedded.windows import Layout as Tiling
from metricat_hub.store.postgresql.binary import (
    Floats,
    Integers,
    Moment,
    Moments,
    copy_rows,
    decode_floats,
    decode_integers,
    decode_moments,
)
from metricat_hub.store.postgresql.errors import unavailable
from metricat_hub.store.postgresql.state import decode_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from psycopg import Connection

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Tier
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Progress
    from metricat_hub.store.postgresql.state import State

RAW = Tiling("raw", "packed_raw", 2 * HOUR, 0)
BY_MINUTE = Tiling("1m", "packed_1m", 2 * HOUR, MINUTE)
BY_HOUR = Tiling("1h", "packed_1h", DAY, HOUR)
_TILINGS: dict[Tier, Tiling] = {"raw": RAW, "1m": BY_MINUTE, "1h": BY_HOUR}
_TIER_OF: dict[str, Tier] = {"packed_raw": "raw", "packed_1m": "1m", "packed_1h": "1h"}
_PARTITION: dict[Tier, int] = {"raw": DAY, "1m": DAY, "1h": 30 * DAY}
"""The time range of one partition of a tier in milliseconds. Retention drops whole partitions."""
_AT_ONCE = 256
_MS = "(extract(epoch FROM {0}) * 1000)::bigint"
_INSERT = "INSERT INTO metricat.recent SELECT * FROM unnest(%s, %s, %s) ON CONFLICT DO NOTHING"
_COPY = "COPY metricat.recent FROM STDIN (FORMAT BINARY)"
_RECENT = """
SELECT series, array_send(array_agg(time)), array_send(array_agg(value)) FROM (
    SELECT series, time, value FROM metricat."{0}"
    WHERE series = ANY(%s) AND time BETWEEN %s AND %s ORDER BY series, time
) AS found GROUP BY series
"""
_SERIES = f"""
SELECT number, encoded, {_MS.format("least(first, (SELECT min(time) FROM metricat.recent WHERE series = number))")},
    {_MS.format("greatest(last, (SELECT max(time) FROM metricat.recent WHERE series = number))")}
FROM metricat.series WHERE NOT idle ORDER BY number
"""  # noqa: S608 -- a constant


class PlainLayout:
    """Rows and arrays in partitions."""

    name = "plain"

    def __init__(self, state: State) -> None:
        self._state = state
        self._recent: set[int] = set()
        """The windows of `recent` that have a partition."""
        self._partitions: dict[Tier, set[int]] = {"raw": set(), "1m": set(), "1h": set()}
        """The partitions of each packed tier, by number."""
        self._packing: dict[int, set[int]] = {}
        """Series with samples that arrived while their window is being packed, by window."""

    def prepare(self, connection: Connection) -> None:
        """See `Layout.prepare`."""
        rows = connection.execute(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
            "WHERE inhparent IN ('metricat.recent'::regclass, 'metricat.packed_raw'::regclass, "
            "'metricat.packed_1m'::regclass, 'metricat.packed_1h'::regclass)"
        ).fetchall()
        self._recent.clear()
        for one in self._partitions.values():
            one.clear()
        for (name,) in rows:
            table, _, number = name.rpartition("_")
            if table == "recent":
                self._recent.add(int(number))
            else:
                self._partitions[_TIER_OF[table]].add(int(number))

    def active_series(self, connection: Connection) -> Iterator[tuple[int, Labels, int | None, int | None]]:
        """See `Layout.active_series`."""
        with connection.cursor() as cursor:
            for number, data, first, newest in cursor.execute(_SERIES):
                yield number, decode_labels(data), first, newest

    def insert(self, connection: Connection, series: NDArray[np.int32], times: Times, values: Values) -> None:
        """See `Layout.insert`."""
        windows = distinct((times - 1) // RAW.size).tolist()
        missing = [window for window in windows if window not in self._recent]
        columns = (Integers(series), Moments(times), Floats(values))
        if missing:
            with connection.transaction():
                for window in missing:
                    _add_partition(connection, "recent", window, RAW.base(window) + 1, RAW.end(window) + 1)
                connection.execute(_INSERT, columns)
            self._recent.update(missing)
        else:
            try:
                with connection.cursor().copy(_COPY) as copy:  # half the time of INSERT ... ON CONFLICT
                    copy.write(copy_rows(series, times, values))
            except errors.UniqueViolation:  # a lost connection has stored samples before
                connection.execute(_INSERT, columns)
        for window, late in self._packing.items():
            if window in windows:
                late.update(series.tolist())

    def raw(
        self, connection: Connection, numbers: NDArray[np.int32], start: int, end: int
    ) -> Iterator[tuple[int, Times, Values]]:
        """See `Layout.raw`."""
        # Rows first: packing moves rows to arrays, so the reverse order could miss samples.
        parts: dict[int, list[tuple[Times, Values]]] = {}
        for number, times, values in _read_rows(connection, "recent", numbers, start, end):
            parts.setdefault(number, []).append((times, values))
        for number, chunk in _read(connection, Segment(RAW, start, end), numbers, ("values",)):
            parts.setdefault(number, []).insert(0, (chunk.times, chunk.columns["values"]))
        for number in sorted(parts):
            times, values = join(parts[number])
            yield number, times, values

    def points(
        self, connection: Connection, segment: Segment, numbers: NDArray[np.int32], wanted: Sequence[str]
    ) -> Iterator[tuple[int, Chunk]]:
        """See `Layout.points`."""
        own = Segment(_TILINGS[segment.layout.tier], segment.start, segment.end)
        yield from _read(connection, own, numbers, wanted)

    def progress(self, now: int) -> Progress:
        """See `Layout.progress`."""
        del now
        return self._state.progress

    def maintain(self, now: int) -> None:
        """See `Layout.maintain`."""
        state = self._state
        with self._errors():
            due = RAW.base((now - state.settings.out_of_order) // RAW.size)
            windows = sorted(window for window in self._recent if RAW.end(window) <= due)
            if windows or due > state.progress.by_minute:
                connection = state.connections.connect()
                try:
                    self._pack_due(connection, windows, due)
                finally:
                    connection.close()
            self._drop_old(now)

    # Packing

    def _pack_due(self, connection: Connection, windows: list[int], due: int) -> None:
        state = self._state
        for window in windows:
            self._pack(connection, window)
        reached = due // DAY * DAY
        days = _days(connection, state.progress.by_hour, reached)
        for day in days:
            with connection.transaction():
                state.guard_lease(connection)
                self._by_hour(connection, day, _series_of(connection, BY_MINUTE, day * DAY, (day + 1) * DAY))
        progress = msgspec.structs.replace(
            state.progress, by_minute=max(due, state.progress.by_minute), by_hour=max(reached, state.progress.by_hour)
        )
        if progress != state.progress:
            with connection.transaction():
                state.guard_lease(connection)
                state.save_progress(connection, progress)
            state.progress = progress

    def _pack(self, connection: Connection, window: int) -> None:
        """Move the rows of a window to arrays, and downsample them."""
        state = self._state
        table = f"recent_{window}"
        late: set[int] = set()
        with state.mutex:
            self._packing[window] = late
        try:
            with ExitStack() as held:
                with connection.transaction():
                    state.guard_lease(connection)
                    found = connection.execute(f'SELECT DISTINCT series FROM metricat."{table}"').fetchall()  # noqa: S608
                    self._pack_series(connection, window, np.array(sorted(row[0] for row in found), np.int32))
                    # Appending waits until the commit, so that no sample is added to the rows before they are dropped.
                    held.enter_context(state.mutex)
                    if late:
                        self._pack_series(connection, window, np.array(sorted(late), np.int32))
                    dropped = _drop_or_empty(connection, table)
                if dropped:
                    self._recent.discard(window)
        finally:
            self._packing.pop(window, None)

    def _pack_series(self, connection: Connection, window: int, numbers: NDArray[np.int32]) -> None:
        state = self._state
        base, end = RAW.base(window), RAW.end(window)
        self._need_partition(connection, "raw", base)
        self._need_partition(connection, "1m", base)
        again = end <= state.progress.by_minute
        for at in range(0, len(numbers), _AT_ONCE):
            part = numbers[at : at + _AT_ONCE]
            stored = dict(_read(connection, Segment(RAW, base + 1, end), part, ("values",)))
            rows = []
            firsts, lasts = [], []
            for number, times, values in _read_rows(connection, f"recent_{window}", part, base, end):
                old = stored.get(number)
                before = [] if old is None else [(old.times, old.columns["values"])]
                times, values = join([*before, (times, values)])  # noqa: PLW2901 -- the merged samples
                stored[number] = Chunk(times, {"values": values})
                rows.append((number, Moment(base), Integers(times - base), Floats(values)))
                firsts.append(int(times[0]))
                lasts.append(int(times[-1]))
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO metricat.packed_raw VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT (series, start) DO UPDATE SET offsets = EXCLUDED.offsets, values = EXCLUDED.values",
                    rows,
                )
            written = np.array([row[0] for row in rows], np.int32)
            connection.execute(
                "UPDATE metricat.series SET first = least(series.first, new.first), "
                "last = greatest(series.last, new.last) "
                "FROM unnest(%s, %s, %s) AS new (number, first, last) WHERE series.number = new.number",
                (Integers(written), Moments(np.array(firsts, np.int64)), Moments(np.array(lasts, np.int64))),
            )
            self._by_minute(connection, window, {number: stored[number] for number in written.tolist()})
            if again:
                self._again(connection, window, written)

    def _again(self, connection: Connection, window: int, numbers: NDArray[np.int32]) -> None:
        """Downsample again what late samples have changed: the next window counts from the last sample of this one."""
        following = dict(
            _read(connection, Segment(RAW, RAW.base(window + 1) + 1, RAW.end(window + 1)), numbers, ("values",))
        )
        if following:
            self._by_minute(connection, window + 1, following)
        for day in {RAW.base(window) // DAY, RAW.base(window + 1) // DAY}:
            if (day + 1) * DAY <= self._state.progress.by_hour:
                self._by_hour(connection, day, numbers)

    def _by_minute(self, connection: Connection, window: int, samples: dict[int, Chunk]) -> None:
        """Write the points of the tier 1m of a window."""
        state = self._state
        numbers = np.array(sorted(samples), np.int32)
        base = RAW.base(window)
        previous = {}
        for number, chunk in _read(connection, Segment(BY_MINUTE, base - DAY, base), numbers, ("last",)):
            previous[number] = float(chunk.columns["last"][-1])
        names = _names(state, connection, numbers)
        rows = []
        for number, chunk in samples.items():
            kind = tiers.kind_of(names[number], state.metadata)
            new = tiers.downsample(chunk.times, chunk.columns["values"], kind, previous.get(number))
            if len(new.times):
                rows.append(_point_row(number, base, new))
        _write_points(connection, BY_MINUTE, rows)

    def _by_hour(self, connection: Connection, day: int, numbers: NDArray[np.int32]) -> None:
        """Write the points of the tier 1h of a day."""
        base = day * DAY
        self._need_partition(connection, "1h", base)
        for at in range(0, len(numbers), _AT_ONCE):
            part = numbers[at : at + _AT_ONCE]
            points: dict[int, list[Chunk]] = {}
            for number, chunk in _read(connection, Segment(BY_MINUTE, base + 1, base + DAY), part, COLUMNS):
                points.setdefault(number, []).append(chunk)
            rows = [_point_row(number, base, tiers.coarser(_concatenated(some))) for number, some in points.items()]
            _write_points(connection, BY_HOUR, rows)

    # Partitions and retention

    def _need_partition(self, connection: Connection, tier: Tier, base: int) -> None:
        size = _PARTITION[tier]
        number = base // size
        if number not in self._partitions[tier]:
            _add_partition(connection, _TILINGS[tier].table, number, number * size, (number + 1) * size)
            self._partitions[tier].add(number)

    def _drop_old(self, now: int) -> None:
        state = self._state
        settings = state.settings
        kept: dict[Tier, int] = {
            "raw": settings.raw_retention,
            "1m": settings.minute_retention,
            "1h": settings.hour_retention,
        }
        for tier, retention in kept.items():
            self._drop_until(tier, (now - retention) // _PARTITION[tier])
        limit = settings.max_bytes
        while limit and self.size() > limit:
            tier, number = self._oldest(state.progress)
            if number is None:
                return
            self._drop_until(tier, number + 1)

    def _oldest(self, progress: Progress) -> tuple[Tier, int | None]:
        """Return the partition to drop first when the store is too large: raw ones that are downsampled, then 1m."""
        limits: dict[Tier, int] = {"raw": progress.by_minute, "1m": progress.by_hour, "1h": progress.by_hour}
        for tier, until in limits.items():
            number = min(self._partitions[tier], default=None)
            if number is not None and (number + 1) * _PARTITION[tier] <= until:
                return tier, number
        return "1h", None

    def _drop_until(self, tier: Tier, below: int) -> None:
        """Drop the partitions with a lower number."""
        state = self._state
        field = f"dropped_{tier}"
        end = below * _PARTITION[tier]
        with state.mutex, state.writer() as connection:
            if end > getattr(state.progress, field):
                # First of all, queries must use another tier.
                progress = msgspec.structs.replace(state.progress, **{field: end})
                state.save_progress(connection, progress)
                state.progress = progress
            for number in sorted(one for one in self._partitions[tier] if one < below):
                try:
                    connection.execute(f'DROP TABLE IF EXISTS metricat."{_TILINGS[tier].table}_{number}"')
                except errors.LockNotAvailable:
                    return  # A long query reads the table. A later round drops it.
                self._partitions[tier].discard(number)

    def size(self) -> int:
        """Return the bytes of all tables and indexes."""
        with self._state.mutex, self._state.writer() as connection:
            row = connection.execute(
                "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class "
                "WHERE relnamespace = 'metricat'::regnamespace AND relkind = 'r'"
            ).fetchone()
        return int(row[0] or 0) if row else 0

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise unavailable(self._state.connections.where, error) from error


def _add_partition(connection: Connection, table: str, number: int, start: int, end: int) -> None:
    """Add a partition with a lock that does not wait for readers, as CREATE TABLE ... PARTITION OF would."""
    name = f'metricat."{table}_{number}"'
    connection.execute(f"CREATE TABLE {name} (LIKE metricat.{table} INCLUDING ALL)")
    # A time in SQL, because utility statements have no parameters.
    bounds = " TO ".join(f"('{np.datetime64(one, 'ms')}Z')" for one in (start, end))
    connection.execute(f"ALTER TABLE metricat.{table} ATTACH PARTITION {name} FOR VALUES FROM {bounds}")


def _drop_or_empty(connection: Connection, table: str) -> bool:
    """Drop a partition; empty it if a long query reads it. Return whether it is dropped."""
    try:
        with connection.transaction():
            connection.execute(f'DROP TABLE metricat."{table}"')
    except errors.LockNotAvailable:
        connection.execute(f'DELETE FROM metricat."{table}"')  # noqa: S608 -- a number
        return False
    return True


def _read(
    connection: Connection, segment: Segment, numbers: NDArray[np.int32], wanted: Sequence[str]
) -> Iterator[tuple[int, Chunk]]:
    """Yield the samples of each series from the start to the end of the segment, sorted by series and time."""
    tiling, start, end = segment.layout, segment.start, segment.end
    chosen = ", ".join(f"array_send({name})" for name in ("offsets", *wanted))
    cursor = connection.execute(
        f"SELECT series, {_MS.format('start')}, {chosen} FROM metricat.{tiling.table} "  # noqa: S608 -- constants
        "WHERE series = ANY(%s) AND start BETWEEN %s AND %s ORDER BY series, start",
        (Integers(numbers), Moment(tiling.base(tiling.window(start))), Moment(tiling.base(tiling.window(end)))),
        binary=True,
    )
    for number, base, offsets, *columns in cursor:
        times = decode_integers(offsets) + base
        part = slice(np.searchsorted(times, start), np.searchsorted(times, end, "right"))
        if part.start < part.stop:
            pairs = zip(wanted, columns, strict=True)
            found = {name: decode_floats(data)[part] for name, data in pairs if data is not None}
            yield number, Chunk(times[part], found)


def _read_rows(
    connection: Connection, table: str, numbers: NDArray[np.int32], start: int, end: int
) -> Iterator[tuple[int, Times, Values]]:
    cursor = connection.execute(_RECENT.format(table), (Integers(numbers), Moment(start), Moment(end)), binary=True)
    for number, times, values in cursor:
        yield number, decode_moments(times), decode_floats(values)


def _series_of(connection: Connection, tiling: Tiling, start: int, end: int) -> NDArray[np.int32]:
    rows = connection.execute(
        f"SELECT DISTINCT series FROM metricat.{tiling.table} WHERE start >= %s AND start < %s",  # noqa: S608
        (Moment(start), Moment(end)),
    ).fetchall()
    return np.array(sorted(row[0] for row in rows), np.int32)


def _days(connection: Connection, start: int, end: int) -> list[int]:
    """Return the days with points of the tier 1m."""
    rows = connection.execute(
        f"SELECT DISTINCT {_MS.format('start')} / {DAY} FROM metricat.packed_1m "  # noqa: S608 -- constants
        "WHERE start >= %s AND start < %s",
        (Moment(start), Moment(end)),
    ).fetchall()
    return sorted(int(row[0]) for row in rows)


def _names(state: State, connection: Connection, numbers: NDArray[np.int32]) -> dict[int, str]:
    with state.index_mutex:
        names = {at: metric_name(state.index.labels[at]) for at in numbers.tolist() if at in state.index.labels}
    missing = [number for number in numbers.tolist() if number not in names]
    if missing:
        rows = connection.execute("SELECT number, name FROM metricat.series WHERE number = ANY(%s)", (missing,))
        names.update(rows.fetchall())
    return {number: names.get(number, "") for number in numbers.tolist()}


def _point_row(number: int, base: int, points: Chunk) -> tuple[object, ...]:
    columns = [Floats(points.columns[name]) if name in points.columns else None for name in COLUMNS]
    return (number, Moment(base), Integers(points.times - base), *columns)


def _write_points(connection: Connection, tiling: Tiling, rows: list[tuple[object, ...]]) -> None:
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in ("offsets", *COLUMNS))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO metricat.{tiling.table} VALUES (%s, %s, %s{', %s' * len(COLUMNS)}) "  # noqa: S608 -- constants
            f"ON CONFLICT (series, start) DO UPDATE SET {updates}",
            rows,
        )


def _concatenated(chunks: list[Chunk]) -> Chunk:
    """Return the points of consecutive chunks as one. A series may be a counter in one and unknown in another."""
    names = [name for name in COLUMNS if any(name in one.columns for one in chunks)]
    return Chunk(
        np.concatenate([one.times for one in chunks]),
        {name: np.concatenate([tiers.filled(one, name) for one in chunks]) for name in names},
    )
