"""The store behind a real Prometheus and a real VictoriaMetrics."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.errors import (
    InvalidQueryError,
    LimitError,
    QueryError,
    QueryTimeoutError,
    ReadOnlyStoreError,
    StoreUnavailableError,
)
from metricat_hub.model.labels import Labels, from_mapping
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.model.samples import STALE, Batch
from metricat_hub.model.server import Server
from metricat_hub.promql.limits import Limits
from metricat_hub.remote.remote_write_sender import RemoteWriteSender
from metricat_hub.store.prometheus import PrometheusStore, RemoteEngine
from metricat_hub.use_cases.cancellation import Cancellation
from support.metric_servers import MetricServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOW = time.time_ns() // 1_000_000 // 1000 * 1000
UP = Matcher("__name__", "=", "up")
A = from_mapping({"__name__": "up", "node": "a", "job": "n"})
B = from_mapping({"__name__": "up", "node": "b"})
ODD = from_mapping({"__name__": "odd", "text": 'a"b\\c\nd é日本', "node": "a"})
ALL = {
    A: [(NOW - 60_000 + at * 15_000, float(at)) for at in range(5)],
    B: [(NOW - 60_000 + at * 15_000, 1.5 * at) for at in range(5)],
    ODD: [(NOW - 30_000, 0.1), (NOW - 15_000, 123456.5), (NOW, -0.25)],
}


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricServer]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as made:
        store = opened(made)
        assert write(store, ALL) == 13
        settled(store, 3)
        yield made


OPENED: list[PrometheusStore] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close the stores that a test has opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def opened(server: MetricServer, *, writable: bool = True, sender: RemoteWriteSender | None = None) -> PrometheusStore:
    own = sender or (RemoteWriteSender(Server(server.write_url)) if writable else None)
    OPENED.append(PrometheusStore(Server(server.url, timeout=20), own))
    return OPENED[-1]


def write(store: PrometheusStore, samples: Mapping[Labels, Sequence[tuple[int, float]]]) -> int:
    numbers = store.resolve(list(samples)).tolist()
    rows = [(number, *one) for number, points in zip(numbers, samples.values(), strict=True) for one in points]
    columns = list(zip(*rows, strict=True))
    return store.append(Batch(np.array(columns[0]), np.array(columns[1]), np.array(columns[2], np.float64))).accepted


def settled(store: PrometheusStore, series: int) -> None:
    """Wait until the server shows what it has stored: VictoriaMetrics does so within a second."""
    deadline = time.monotonic() + 30
    while len(store.series([[]], NOW - 60_000, NOW)) < series:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_samples_are_returned_as_written(server: MetricServer) -> None:
    store = opened(server)
    for matchers, expected in (([UP], (A, B)), ([UP, Matcher("node", "!=", "a")], (B,)), ([ODD_NAME], (ODD,))):
        found = store.select(matchers, NOW - 60_000, NOW, Hints()).series
        points = {one.labels: list(zip(one.times.tolist(), one.values.tolist(), strict=True)) for one in found}
        assert points == {labels: ALL[labels] for labels in expected}
    first = store.select([UP], NOW - 60_000, NOW - 60_000, Hints()).series
    assert [one.times.tolist() for one in first] == [[NOW - 60_000]] * 2
    assert len(store.select([UP], 0, 2**60, Hints()).series) == 2


ODD_NAME = Matcher("__name__", "=~", "od.")


def test_series_and_labels(server: MetricServer) -> None:
    store = opened(server)
    assert list(store.series([[UP, Matcher("node", "=", "a")], [ODD_NAME]], NOW - 60_000, NOW)) == [ODD, A]
    assert list(store.label_names([[UP]], NOW - 60_000, NOW)) == ["__name__", "job", "node"]
    assert list(store.label_names([], -(2**53), 2**53)) == ["__name__", "job", "node", "text"]
    assert list(store.label_values("node", [], NOW - 60_000, NOW)) == ["a", "b"]
    assert list(store.label_values("text", [[ODD_NAME]], NOW - 60_000, NOW)) == ['a"b\\c\nd é日本']
    assert store.count_series(NOW) == 3
    assert not store.label_values("né", [], NOW - 60_000, NOW)


def test_queries_are_evaluated_by_the_server(server: MetricServer) -> None:
    engine = RemoteEngine(opened(server).api, Limits())
    found = engine.instant("sum(up)", NOW, Cancellation(20))
    assert (found.kind, found.time, found.values.tolist()) == ("vector", NOW, [10.0])
    matrix = engine.range("up", NOW - 60_000, NOW, 15_000, Cancellation(20))
    assert {one.labels: list(zip(one.times.tolist(), one.values.tolist(), strict=True)) for one in matrix.series} == {
        A: ALL[A],
        B: ALL[B],
    }
    assert engine.instant("up[2m]", NOW, Cancellation(20)).kind == "matrix"
    assert float(np.ravel(engine.instant("scalar(up{node='a'}) * 2", NOW, Cancellation(20)).values)[0]) == 8
    infinite = engine.instant("up{node='a'} / 0", NOW, Cancellation(20)).values
    assert infinite.tolist() == [math.inf]


class Hurry:
    """A deadline that the server keeps, and not the hub."""

    remaining = 0.001

    def check(self) -> None:
        pass


def test_errors_are_those_of_the_server(server: MetricServer) -> None:
    engine = RemoteEngine(opened(server).api, Limits())
    with pytest.raises(InvalidQueryError if server.kind == "prometheus" else QueryError, match="parse"):
        engine.instant("sum(", NOW, Cancellation(20))
    if server.kind == "prometheus":
        with pytest.raises(QueryError, match=r"many-to-many|multiple matches"):
            engine.instant("up * on () up", NOW, Cancellation(20))
        with pytest.raises(QueryTimeoutError, match="timed out"):
            engine.instant("count_over_time(up[100d:1s])", NOW, Hurry())
    with pytest.raises(LimitError, match="series"):
        RemoteEngine(opened(server).api, Limits(series=1)).instant("up", NOW, Cancellation(20))
    with pytest.raises(LimitError, match="steps"):
        engine.range("up", 0, 20_000_000, 1_000, Cancellation(20))


def test_warnings_and_infos_are_passed_on(server: MetricServer) -> None:
    found = RemoteEngine(opened(server).api, Limits()).instant("rate(up[1m])", NOW, Cancellation(20))
    sends_infos = server.kind == "prometheus"  # VictoriaMetrics sends none
    assert any("might not be a counter" in info for info in found.infos) == sends_infos


def test_repeated_samples_are_stored_once(server: MetricServer) -> None:
    store = opened(server)
    series = from_mapping({"__name__": "again", "node": "a"})
    points = [(NOW - 4_000 + at * 1_000, float(at)) for at in range(5)]
    for _ in range(3):
        write(store, {series: points})
    deadline = time.monotonic() + 20
    while server.samples("again", at=NOW / 1000) != {series: points}:
        assert time.monotonic() < deadline, server.samples("again", at=NOW / 1000)
        time.sleep(0.1)


def test_stale_series_ends(server: MetricServer) -> None:
    store = opened(server)
    series = from_mapping({"__name__": "ends", "node": "a"})
    write(store, {series: [(NOW - 20_000, 1.0), (NOW - 10_000, float(STALE))]})
    engine = RemoteEngine(store.api, Limits())
    deadline = time.monotonic() + 20
    while not len(engine.instant("ends", NOW - 15_000, Cancellation(20)).labels):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not len(engine.instant("ends", NOW, Cancellation(20)).labels)


def test_store_without_write_url_is_read_only(server: MetricServer) -> None:
    with pytest.raises(ReadOnlyStoreError, match=r"set --store\.write-url"):
        opened(server, writable=False).resolve([A])


def test_version_of_remote_write_is_that_of_the_receiver(server: MetricServer) -> None:
    sender = RemoteWriteSender(Server(server.write_url))
    store = opened(server, sender=sender)
    series = from_mapping({"__name__": "version", "node": "a"})
    assert write(store, {series: [(NOW, 1.0)]}) == 1
    assert sender.version == ("2.0" if server.kind == "prometheus" else "1.0")


def test_prometheus_stores_the_valid_samples_of_a_request(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("in-order")
    (folder / "prometheus.yml").write_text("{}\n")
    with running("prometheus", folder) as server:
        for version in ("2.0", "1.0"):
            sender = RemoteWriteSender(Server(server.write_url))
            sender.version = version
            store = opened(server, sender=sender)
            old = from_mapping({"__name__": "old", "version": version})
            new = from_mapping({"__name__": "new", "version": version})
            assert write(store, {old: [(NOW, 1.0)]}) == 1
            assert write(store, {old: [(NOW - 5_000, 1.0)], new: [(NOW - 9_000 + at, 1.0) for at in range(9)]}) == 9
            assert len(server.samples(f'new{{version="{version}"}}', at=NOW / 1000)[new]) == 9


def test_unreachable_server_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = MetricServer("prometheus", tmp_path_factory.mktemp("none"))
    store = opened(server)
    with pytest.raises(StoreUnavailableError, match=rf"127.0.0.1:{server.port} does not respond: Connection refused"):
        store.series([[UP]], 0, NOW)
    with pytest.raises(StoreUnavailableError, match="does not store samples"):
        write(store, {A: [(NOW, 1.0)]})
