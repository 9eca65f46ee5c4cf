"""PostgreSQL as a store: what only a server shows. Restarts, a cut network, two hubs, and what SQL reads."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import psycopg
import pytest

from metricat_hub.model.errors import QueryTimeoutError, StoreLockedError, StoreUnavailableError
from metricat_hub.model.ports import Hints
from metricat_hub.model.samples import STALE, Batch
from metricat_hub.store.embedded import Settings
from metricat_hub.store.postgresql import PostgresStore
from metricat_hub.store.postgresql.errors import StoreConfigurationError
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, Clock, labels, named, read, write
from support.postgresql_server import PASSWORD, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metricat_hub.model.samples import Appended

A, B = labels("up", node="a"), labels("up", node="b")
EVER = 2**52
T = TypeVar("T")
SECRET = "a%20secret"


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that tests stop and kill."""
    server = PostgresServer(durable=True)
    yield server
    server.close()


def opened(url: str, clock: Clock | None = None, settings: Settings | None = None) -> PostgresStore:
    return PostgresStore.open(url, settings or Settings(), clock or Clock())


def eventually(work: Callable[[], T], seconds: float = 60) -> T:
    """Return the result of the work when it stops raising StoreUnavailableError."""
    end = time.monotonic() + seconds
    while True:
        try:
            return work()
        except StoreUnavailableError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def size_of(url: str, table: str) -> int:
    """Return the bytes of a partitioned table with its indexes."""
    query = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'metricat.{0}'::regclass"
    return int(str(sql(url, query.format(table))[0][0]))


def test_second_hub_is_refused_and_may_start_after_the_first(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    first = opened(url)
    write(first, {A: [(BEGIN, 1.0)]})
    with pytest.raises(StoreLockedError, match=r"metricat-hub .* at 127\.0\.0\.1.* has the store open\. Stop that hub"):
        opened(url)
    first.close()
    second = opened(url)
    assert read(second, named("up"), end=EVER) == {A: [(BEGIN, 1.0)]}
    second.close()


def test_writing_continues_after_the_session_of_the_lease_is_lost(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    store = opened(url)
    generation = store.generation
    for at in range(5):
        assert write(store, {A: [(BEGIN + at, float(at))]}).accepted == 1
        sql(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'metricat-hub%'")
    assert read(store, named("up"), end=EVER) == {A: [(BEGIN + at, float(at)) for at in range(5)]}
    assert store.generation == generation
    assert store.problems() == ()
    store.close()


def test_series_are_loaded_again_after_another_hub_wrote(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    store = opened(url)
    write(store, {A: [(BEGIN, 1.0)]})
    generation = store.generation
    sql(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'metricat-hub%'")
    other = opened(url)
    assert write(other, {A: [(BEGIN + 5, 2.0)], B: [(BEGIN, 3.0)]}).accepted == 2
    with pytest.raises(StoreUnavailableError, match="has the store open"):
        write(store, {A: [(BEGIN + 6, 4.0)]})
    assert "has the store open" in store.problems()[0]
    other.close()
    eventually(lambda: write(store, {A: [(BEGIN + 6, 4.0)]}))
    assert store.generation != generation
    assert write(store, {A: [(BEGIN + 5, 2.0)]}).duplicates == 1
    assert read(store, named("up"), end=EVER) == {
        A: [(BEGIN, 1.0), (BEGIN + 5, 2.0), (BEGIN + 6, 4.0)],
        B: [(BEGIN, 3.0)],
    }
    store.close()


def test_stopped_database_is_a_problem_until_it_is_back(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    store = opened(url)
    write(store, {A: [(BEGIN, 1.0)]})
    own_server.stop()
    for work in (
        lambda: write(store, {A: [(BEGIN + 1, 2.0)]}),
        lambda: read(store, named("up"), end=EVER),
        lambda: store.resolve([B]),
        store.maintain,
    ):
        with pytest.raises(
            StoreUnavailableError, match=r"PostgreSQL at 127\.0\.0\.1:\d+/test_\d+: .*\. .*\.$"
        ) as failure:
            work()
        assert SECRET not in str(failure.value)
        assert PASSWORD not in str(failure.value)
    (problem,) = store.problems()
    assert problem.startswith("the database is not available since 20")
    assert {one.name: one.value for one in store.metrics()}["metricat_hub_store_up"] == 0
    # Metadata and labels that the hub has in memory need no database.
    assert store.label_values("node", [], BEGIN - 1, EVER) == ["a"]
    own_server.start()
    eventually(lambda: write(store, {A: [(BEGIN + 1, 2.0)]}))
    assert eventually(lambda: read(store, named("up"), end=EVER)) == {A: [(BEGIN, 1.0), (BEGIN + 1, 2.0)]}
    assert store.problems() == ()
    store.close()


def test_hub_starts_while_the_database_is_down(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    own_server.stop()
    store = opened(url)
    with pytest.raises(StoreUnavailableError):
        store.resolve([A])
    assert len(store.problems()) == 1
    own_server.start()
    eventually(lambda: write(store, {A: [(BEGIN, 1.0)]}))
    assert store.problems() == ()
    store.close()


def test_every_acknowledged_sample_survives_crashes_of_the_server(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    clock = Clock(BEGIN)
    store = opened(url, clock)
    many = [labels("m", at=str(at)) for at in range(20)]
    acknowledged: list[int] = []
    stop = threading.Event()

    def append() -> None:
        step = 0
        while not stop.is_set():
            clock.now = BEGIN + step * MINUTE
            try:
                numbers = store.resolve(many)
                batch = Batch(numbers, np.full(20, clock.now, np.int64), np.full(20, float(step)))
                result = store.append(batch)
            except StoreUnavailableError:
                # What is not acknowledged is sent again, as the scraper and senders do.
                time.sleep(0.02)
                continue
            assert result.accepted + result.duplicates == 20
            acknowledged.append(step)
            step += 1
            with contextlib.suppress(StoreUnavailableError):
                store.maintain()

    thread = threading.Thread(target=append)
    thread.start()
    for _ in range(4):
        before = len(acknowledged)
        end = time.monotonic() + 60
        while len(acknowledged) < before + 150 and time.monotonic() < end:
            time.sleep(0.05)
        own_server.stop(signal.SIGQUIT)
        own_server.start()
    stop.set()
    thread.join()
    assert len(acknowledged) >= 300
    raw = Hints(tier="raw")
    assert acknowledged == list(range(len(acknowledged)))
    found = eventually(lambda: read(store, named("m"), end=EVER, hints=raw))
    # The last batch may be stored without its acknowledgement.
    steps = len(found[many[0]])
    assert steps - len(acknowledged) in (0, 1)
    expected = [(BEGIN + step * MINUTE, float(step)) for step in range(steps)]
    assert found == dict.fromkeys(many, expected)
    store.close()
    store = opened(url, clock)
    assert read(store, named("m"), end=EVER, hints=raw) == dict.fromkeys(many, expected)
    store.close()


def together(store: PostgresStore, batches: list[Batch]) -> list[Appended]:
    """Append batches by one thread each, in this order, while another one has the store."""
    results: dict[int, Appended] = {}

    def append(at: int) -> None:
        results[at] = store.append(batches[at])

    threads = [threading.Thread(target=append, args=(at,)) for at in range(len(batches))]
    with store._state.mutex:
        for count, thread in enumerate(threads, 1):
            thread.start()
            end = time.monotonic() + 60
            while len(store._waiting) < count:
                assert time.monotonic() < end
                time.sleep(0.005)
    for thread in threads:
        thread.join(60)
    return [results[at] for at in range(len(batches))]


def test_batches_that_wait_share_a_statement_and_have_their_own_results(
    postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.new_database()
    store = opened(url, Clock(BEGIN + HOUR))
    series = [labels("up", node=str(node)) for node in range(20)]
    numbers = store.resolve(series)
    write(store, {one: [(BEGIN, 0.0)] for one in series})
    layout = store._state.ready()
    sizes: list[int] = []
    insert = layout.insert

    def counted(connection: psycopg.Connection, of: Any, times: Any, values: Any) -> None:
        sizes.append(len(times))
        insert(connection, of, times, values)

    monkeypatch.setattr(layout, "insert", counted)
    found = together(
        store, [Batch(numbers[node : node + 1], np.array([BEGIN + 1]), np.array([1.0])) for node in range(20)]
    )
    assert [one.accepted for one in found] == [1] * 20
    assert sizes == [20]
    again = [
        Batch(numbers[:1], np.array([BEGIN + 2]), np.array([5.0])),
        Batch(numbers[:1], np.array([BEGIN + 2]), np.array([5.0])),
        Batch(numbers[:1], np.array([BEGIN + 2]), np.array([6.0])),
        Batch(numbers[:1] + 1000, np.array([BEGIN + 2]), np.array([6.0])),
        Batch(numbers[:2], np.array([BEGIN + 2 * HOUR, BEGIN + 2]), np.array([7.0, float(STALE)])),
    ]
    found = together(store, again)
    assert [(one.accepted, one.duplicates) for one in found] == [(1, 0), (0, 1), (0, 0), (0, 0), (1, 0)]
    assert found[2].conflicting is not None
    assert found[3].unknown is not None
    assert found[4].too_new is not None
    assert store._state.rejected["conflicting"] == 1
    store.close()
    assert sql(url, "SELECT count(*), count(*) FILTER (WHERE value = 'NaN') FROM metricat.samples") == [(42, 1)]


def test_rows_that_exist_are_skipped(postgresql: PostgresServer) -> None:
    """A lost connection may have stored the samples that the hub sends again."""
    url = postgresql.new_database()
    store = opened(url, Clock(BEGIN + HOUR))
    (number,) = store.resolve([A]).tolist()
    write(store, {A: [(BEGIN + 1, 1.0)]})
    sql(url, f"INSERT INTO metricat.recent VALUES ({number}, '{np.datetime64(BEGIN + 2, 'ms')}Z', 2.0) RETURNING 1")
    assert write(store, {A: [(BEGIN + 2, 2.0), (BEGIN + 3, 3.0)]}).accepted == 2
    assert read(store, named("up")) == {A: [(BEGIN + 1, 1.0), (BEGIN + 2, 2.0), (BEGIN + 3, 3.0)]}
    store.close()


def test_slow_query_ends_at_its_timeout(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    store = PostgresStore.open(url, Settings(), Clock(), query_timeout=300)
    write(store, {A: [(BEGIN, 1.0)]})
    with psycopg.connect(url) as blocking:
        blocking.execute("LOCK TABLE metricat.recent IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(QueryTimeoutError, match=r"took longer than --query.timeout"):
            read(store, named("up"), end=EVER)
    assert read(store, named("up"), end=EVER) == {A: [(BEGIN, 1.0)]}
    assert store.problems() == ()
    store.close()


def test_long_reader_does_not_stop_packing(postgresql: PostgresServer) -> None:
    url, clock = postgresql.new_database(), Clock(BEGIN + MINUTE)
    store = opened(url, clock)
    write(store, {A: [(BEGIN + MINUTE, 1.0)]})
    clock.now = BEGIN + 4 * HOUR
    with psycopg.connect(url) as reading:
        assert reading.execute("SELECT count(*) FROM metricat.samples").fetchall() == [(1,)]
        store.maintain()
        assert write(store, {A: [(clock.now, 2.0)]}).accepted == 1
        assert sql(url, "SELECT count(*) FROM metricat.packed_raw") == [(1,)]
    store.maintain()
    table = f"metricat.recent_{(BEGIN + MINUTE - 1) // (2 * HOUR)}"
    assert sql(url, f"SELECT to_regclass('{table}')") == [(None,)]
    assert read(store, named("up"), end=EVER) == {A: [(BEGIN + MINUTE, 1.0), (BEGIN + 4 * HOUR, 2.0)]}
    store.close()


def test_sql_reads_the_same_samples_and_points(postgresql: PostgresServer) -> None:
    url, clock = postgresql.new_database(), Clock(BEGIN + 4 * HOUR)
    store = opened(url, clock)
    write(store, {A: [(BEGIN + MINUTE * at, float(at)) for at in range(1, 181)], B: [(clock.now, 7.5)]})
    statement = (
        "SELECT extract(epoch FROM time)::bigint * 1000, value FROM metricat.labeled_samples "
        "WHERE name = 'up' AND labels @> '{\"node\": \"a\"}' ORDER BY time"
    )
    expected = [(BEGIN + MINUTE * at, float(at)) for at in range(1, 181)]
    assert sql(url, statement) == expected
    store.maintain()
    assert sql(url, statement) == expected
    assert sql(url, "SELECT count(*), sum(value) FROM metricat.samples") == [(181, sum(range(1, 181)) + 7.5)]
    points = "SELECT count(*), min(min), max(last), sum(count) FROM metricat.samples_1m"
    assert sql(url, points) == [(120, 1.0, 120.0, 120.0)]
    store.close()


def test_size_limit_drops_the_oldest_partitions(postgresql: PostgresServer) -> None:
    url, clock = postgresql.new_database(), Clock()
    store = opened(url, clock, Settings(max_bytes=6_000_000))
    source = np.random.default_rng(1)
    numbers = store.resolve([labels("noise", at=str(at)) for at in range(40)])
    for _ in range(12):
        times = clock.now + np.arange(1, 721) * 30_000
        clock.now = int(times[-1])
        store.append(Batch(np.repeat(numbers, 720), np.tile(times, 40), source.random(28_800)))
        store.maintain()
    row = sql(url, "SELECT min(start), count(DISTINCT start) FROM metricat.packed_raw")
    assert str(row[0][0]) > "2024-10-04 23"
    selection = store.select(named("noise"), 0, clock.now, Hints())
    assert selection.tier in ("1m", "1h")
    assert len(selection.series) == 40
    assert selection.series[0].times[0] <= BEGIN + HOUR
    store.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("metricat:", "metricat:wrong"), "password authentication failed for user .metricat.. Check user, database"),
        (("metricat:", "stranger:"), "password authentication failed for user .stranger.. Check user, database"),
        (("/test_", "/missing_"), "database .missing_.* does not exist. Check user, database and password"),
        (("?", "?sslmode=nonsense"), r"Check user|invalid sslmode|invalid URL of PostgreSQL"),
        (("?", "?unknown=secret"), "invalid URL of PostgreSQL. Write postgresql://"),
    ],
)
def test_wrong_settings_are_refused_with_the_remedy(
    postgresql: PostgresServer, change: tuple[str, str], message: str
) -> None:
    url = postgresql.new_database()
    with pytest.raises((StoreConfigurationError, StoreUnavailableError), match=message) as failure:
        opened(f"{url}?".replace(*change))
    assert "secret" not in str(failure.value)


def test_tables_of_a_later_release_are_refused(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    opened(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO metricat.migrations (version, name) VALUES (9999, '9999_future')")
    with pytest.raises(StoreConfigurationError, match=r"a later release of the hub .*\(migration 9999\)\. Use that"):
        opened(url)


def test_old_samples_keep_few_bytes(postgresql: PostgresServer) -> None:
    """A day of counters, gauges and constants needs less than a quarter of what rows need."""
    url, clock = postgresql.new_database(), Clock(BEGIN + DAY)
    store = opened(url, clock)
    source = np.random.default_rng(1)
    times = BEGIN + np.arange(1, 8641) * 10_000
    for at in range(6):
        number = store.resolve([labels("m", at=str(at))])[0]
        values = [np.cumsum(source.integers(0, 100, 8640)), source.integers(0, 1000, 8640) / 8, np.ones(8640)][at % 3]
        store.append(Batch(np.full(8640, number), times, values.astype(np.float64)))
    clock.now += 2 * HOUR
    rows = size_of(url, "recent")
    store.maintain()
    assert size_of(url, "packed_raw") * 4 < rows
    store.close()
