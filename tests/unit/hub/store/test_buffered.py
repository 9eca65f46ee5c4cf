"""A store that is down: samples wait on disk, recent ones are answered from memory, and all are written in order."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.labels import Labels, from_mapping
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.model.samples import Batch
from metricat_hub.promql.limits import Limits
from metricat_hub.remote.delivery import QueueSettings
from metricat_hub.remote.outcome import Outcome
from metricat_hub.remote.output import Output
from metricat_hub.store.buffered import BufferedEngine, BufferedStore
from metricat_hub.store.fan_out import FanOut
from metricat_hub.store.recent_samples import RecentSamples
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from support.hub_store import BEGIN, MINUTE, SECOND, Clock, open_store, read, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from metricat_hub.model.samples import Appended
    from metricat_hub.remote.records import Samples
    from metricat_hub.store.embedded import EmbeddedStore

UP = [Matcher("__name__", "=", "up")]
A, B = from_mapping({"__name__": "up", "node": "a"}), from_mapping({"__name__": "up", "node": "b"})
FAST = (0.01, 0.02)
LIMITS = Limits()


class Switch:
    """A real store that a test can take down."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.is_down = False
        self.writes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found) or name in ("close", "problems", "metrics"):
            return found

        def call(*arguments: Any) -> Any:
            if self.is_down:
                raise StoreUnavailableError("connection refused. Check the server.")
            if name == "append":
                self.writes += arguments[0].times.tolist()
            return found(*arguments)

        return call


@contextmanager
def buffered(tmp_path: Path, clock: Clock, *, is_down: bool = False) -> Iterator[tuple[BufferedStore, Switch]]:
    inner = Switch(open_store(tmp_path / "data", clock))
    inner.is_down = is_down
    store: Any = inner
    made = BufferedStore(store, QueueSettings(tmp_path / "buffer", 1 << 20, 1 << 60), clock, LIMITS, FAST)
    try:
        yield made, inner
    finally:
        made.close()


def put(store: Any, labels: Labels, *points: tuple[int, float]) -> Appended:
    return write(store, {labels: points})


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_store_that_is_up_is_written_directly(tmp_path: Path) -> None:
    with buffered(tmp_path, Clock()) as (store, inner):
        assert put(store, A, (BEGIN, 1.0)).accepted == 1
        again = put(store, A, (BEGIN, 1.0), (BEGIN, 2.0), (BEGIN + 1, 3.0))
        assert (again.accepted, again.duplicates, again.conflicting.tolist()) == (1, 1, [False, True, False])  # type: ignore[union-attr]
        assert read(inner.store, UP) == {A: [(BEGIN, 1.0), (BEGIN + 1, 3.0)]}
        assert not store.notices()
        assert not store.problems()


def test_samples_wait_while_the_store_is_down_and_are_written_in_order(tmp_path: Path) -> None:
    clock = Clock()
    with buffered(tmp_path, clock) as (store, inner):
        put(store, A, (BEGIN, 0.0))
        inner.is_down = True
        for at in range(1, 20):
            assert put(store, A if at % 2 else B, (BEGIN + at, float(at))).accepted == 1
        store.set_metadata({"up": Metadata("gauge", "Up.")})
        until(lambda: store.state().failing_since)
        (notice,) = store.notices()
        assert (
            "the store is down since 2024-10-04T00:00:00Z: connection refused. Check the server; 19 samples wait"
            in notice
        )
        assert not store.problems()
        inner.is_down = False
        until(store.is_drained)
        assert inner.writes == [BEGIN + at for at in range(20)]
        store.maintain()
        assert inner.store.metadata() == {"up": Metadata("gauge", "Up.")}
        assert not store.notices()


def test_samples_survive_a_restart_while_the_store_is_down(tmp_path: Path) -> None:
    clock = Clock()
    with buffered(tmp_path, clock, is_down=True) as (store, _):
        put(store, A, (BEGIN, 1.0), (BEGIN + 1, 2.0))
    with buffered(tmp_path, clock, is_down=True) as (store, inner):
        assert store.state().waiting_samples == 2
        with pytest.raises(StoreUnavailableError, match="the hub has no samples in memory"):
            store.select(UP, BEGIN, BEGIN + 1, Hints())
        put(store, A, (BEGIN + 2, 3.0))
        inner.is_down = False
        until(store.is_drained)
        assert read(inner.store, UP) == {A: [(BEGIN, 1.0), (BEGIN + 1, 2.0), (BEGIN + 2, 3.0)]}


def test_recent_samples_are_answered_with_a_warning(tmp_path: Path) -> None:
    clock = Clock()
    with buffered(tmp_path, clock) as (store, inner):
        put(store, A, (BEGIN, 1.0))
        inner.is_down = True
        clock.now = BEGIN + MINUTE
        put(store, B, (BEGIN + MINUTE, 5.0))
        found = Queries(store, LIMITS).instant("sum(up)", clock.now, Cancellation(20))
        assert found.values.tolist() == [6.0]
        assert "the store is down (connection refused. Check the server); the result covers only samples since" in str(
            found.warnings
        )
        engine = BufferedEngine(Queries(inner, LIMITS), store)
        assert engine.instant("sum(up)", clock.now, Cancellation(20)).values.tolist() == [6.0]
        recent = engine.range("up", BEGIN, clock.now, MINUTE, Cancellation(20))
        assert [one.values.tolist() for one in recent.series] == [[1.0, 1.0], [5.0]]
        with pytest.raises(StoreUnavailableError, match="the hub has only samples since 2024-10-04T00:00:00Z"):
            engine.range("up", BEGIN - MINUTE, clock.now, MINUTE, Cancellation(20))
        assert store.series([UP], BEGIN, clock.now) == [A, B]
        assert store.label_values("node", [], BEGIN, clock.now) == ["a", "b"]
        assert store.label_names([], BEGIN, clock.now) == ["__name__", "node"]


def test_answers_include_samples_that_wait(tmp_path: Path) -> None:
    clock = Clock()
    with buffered(tmp_path, clock) as (store, inner):
        put(store, A, (BEGIN, 1.0))
        inner.is_down = True
        put(store, A, (BEGIN + SECOND, 2.0))
        put(store, B, (BEGIN + SECOND, 3.0))
        until(lambda: store.state().failing_since)
        store._delivery.buffer.get = lambda *_, **__: time.sleep(0.01) or []  # type: ignore[method-assign, func-returns-value]
        inner.is_down = False
        assert read(store, UP) == {A: [(BEGIN, 1.0), (BEGIN + SECOND, 2.0)], B: [(BEGIN + SECOND, 3.0)]}
        assert store.series([UP], BEGIN, BEGIN + SECOND) == [A, B]


def test_full_disk_refuses_samples_while_the_store_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with buffered(tmp_path, Clock()) as (store, inner):
        inner.is_down = True
        put(store, A, (BEGIN, 1.0))
        monkeypatch.setattr("metricat_agent.push.segments._write", full)
        with pytest.raises(StoreUnavailableError, match="its buffer in the data directory cannot be written"):
            put(store, A, (BEGIN + 1, 2.0))
        assert "Check the free space and the permissions of --data" in str(store.problems())
        monkeypatch.undo()
        assert put(store, A, (BEGIN + 1, 2.0)).accepted == 1
        inner.is_down = False
        until(store.is_drained)
        assert read(inner.store, UP) == {A: [(BEGIN, 1.0), (BEGIN + 1, 2.0)]}


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_future_samples_are_refused_also_while_the_store_is_down(tmp_path: Path) -> None:
    with buffered(tmp_path, Clock(), is_down=True) as (store, _):
        found = put(store, A, (BEGIN, 1.0), (BEGIN + 60 * MINUTE, 2.0))
        assert (found.accepted, found.too_new.tolist()) == (1, [False, True])  # type: ignore[union-attr]


def test_rejected_samples_of_the_buffer_are_counted(tmp_path: Path) -> None:
    with buffered(tmp_path, Clock()) as (store, inner):
        put(store, A, (BEGIN, 1.0))
        inner.is_down = True
        put(store, A, (BEGIN, 2.0), (BEGIN + 1, 3.0))
        inner.is_down = False
        until(store.is_drained)
        state = store.state()
        assert (state.sent, state.rejected, state.rejection) == (1, 1, "the store has a different value at this time")


def test_recent_samples_have_bounds() -> None:
    recent = RecentSamples(50_000, 10 * MINUTE, 10_000)
    from metricat_hub.remote.records import Samples  # noqa: PLC0415

    for at in range(100):
        index, times = np.zeros(100, np.int32), np.arange(100, dtype=np.int64) + BEGIN + at * SECOND
        recent.add(Samples([A], index, times, np.full(100, float(at))))
    found = recent.select(UP, 0, 2**60, Hints()).series[0]

    assert len(found.times) * 20 < 50_000
    assert int(found.times[-1]) == BEGIN + 99 * SECOND + 99
    assert recent.begin is not None
    assert int(found.times[0]) >= recent.begin
    recent.add(Samples([B], np.zeros(1, np.int32), np.array([BEGIN + 60 * MINUTE]), np.array([1.0])))
    assert recent.series([UP], 0, 2**60) == [B]


class Sink:
    """A sender that a test can take down."""

    def __init__(self) -> None:
        self.server: Any = type("Server", (), {"shown": "http://sink"})
        self.is_down = False
        self.rows: list[tuple[Labels, int, float]] = []
        self.metadata: dict[str, Metadata] = {}

    def send(self, parts: Sequence[Samples]) -> Outcome:
        if self.is_down:
            return Outcome(text="status 503: no", is_retried=True)
        rows = [
            (part.labels[series], at, value)
            for part in parts
            for series, at, value in zip(part.index.tolist(), part.times.tolist(), part.values.tolist(), strict=True)
        ]
        self.rows += rows
        return Outcome(len(rows))

    def send_metadata(self, metadata: Any) -> None:
        self.metadata.update(metadata)

    def close(self) -> None:
        pass


def test_outputs_get_each_accepted_sample(tmp_path: Path) -> None:
    clock, sinks = Clock(), [Sink(), Sink()]
    outputs = [
        Output(f"o{at}", sink, QueueSettings(tmp_path / f"o{at}", 1 << 20, 1 << 60), clock, FAST)
        for at, sink in enumerate(sinks)
    ]
    store = FanOut(open_store(tmp_path / "data", clock), outputs)
    sinks[1].is_down = True
    store.set_metadata({"up": Metadata("gauge")})
    put(store, A, (BEGIN, 1.0), (BEGIN + 1, 2.0))
    put(store, A, (BEGIN, 9.0), (BEGIN + 2, 3.0), (BEGIN + 60 * MINUTE, 4.0))
    put(store, B, (BEGIN, 5.0))
    expected = [(A, BEGIN, 1.0), (A, BEGIN + 1, 2.0), (A, BEGIN + 2, 3.0), (B, BEGIN, 5.0)]
    until(lambda: sinks[0].rows == expected and sinks[0].metadata)
    until(lambda: outputs[1].delivery.state().failing_since)
    assert "output o1: http://sink accepts no samples since 2024-10-04T00:00:00Z: status 503: no; 4 samples" in str(
        outputs[1].notices()
    )
    assert not outputs[0].notices()
    sinks[1].is_down = False
    until(lambda: sinks[1].rows == expected)
    names = {(one.name, one.labels.get("output")) for one in store.metrics()}
    assert {("metricat_hub_output_waiting_samples", "o0"), ("metricat_hub_output_up", "o1")} <= names
    store.close()


def test_outputs_get_samples_of_series_whose_numbers_have_changed(tmp_path: Path) -> None:
    clock, sink = Clock(), Sink()
    output = Output("o", sink, QueueSettings(tmp_path / "o", 1 << 20, 1 << 60), clock, FAST)
    inner = open_store(tmp_path / "data", clock)
    store = FanOut(inner, [output])
    (number,) = store.resolve([A]).tolist()
    inner._core.generation += 1
    store.resolve([B])
    found = store.append(Batch(np.array([number]), np.array([BEGIN]), np.array([1.0])))
    assert (found.accepted, found.unknown.tolist()) == (0, [True])  # type: ignore[union-attr]
    put(store, A, (BEGIN, 1.0))
    until(lambda: sink.rows == [(A, BEGIN, 1.0)])
    store.close()


def test_queue_of_a_stopped_hub_is_complete(tmp_path: Path) -> None:
    """The files at any moment have all samples of appended batches, as after `kill -9`."""
    clock, sink = Clock(), Sink()
    sink.is_down = True
    output = Output("o", sink, QueueSettings(tmp_path / "o", 1 << 20, 1 << 60), clock, FAST)
    store = FanOut(open_store(tmp_path / "data", clock), [output])
    for at in range(10):
        put(store, A, (BEGIN + at, float(at)))
    shutil.copytree(tmp_path / "o", tmp_path / "copy")
    store.close()
    other = Sink()
    again = Output("copy", other, QueueSettings(tmp_path / "copy", 1 << 20, 1 << 60), clock, FAST)
    until(lambda: other.rows == [(A, BEGIN + at, float(at)) for at in range(10)])
    again.close()
