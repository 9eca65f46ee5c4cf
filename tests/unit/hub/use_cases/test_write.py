"""Writing of decoded samples: resolution of series, rejected samples, a store that removes series or is full."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.errors import SeriesRemovedError, StoreUnavailableError
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.samples import RESOLUTIONS
from metricat_hub.sources.write.remote_write import decode_1, decode_2
from metricat_hub.use_cases.write import CONFLICTING, FULL, TOO_NEW, TOO_OLD, SampleWriter, summary
from support.memory_store import AHEAD, WINDOW, MemoryStore
from support.remote_write import Sent, request_1, request_2

if TYPE_CHECKING:
    from metricat_hub.model.samples import Appended, Batch

NOW = 1_795_000_000_000
UP = (("__name__", "up"),)


def series(name: str, *samples: tuple[int, float]) -> Sent:
    return Sent([("__name__", name)], samples)


def test_samples_are_stored_and_resolved_once() -> None:
    store = MemoryStore(NOW)
    writer = SampleWriter(store)
    for time in range(NOW, NOW + 5):
        assert writer.write(decode_1(request_1([series("up", (time, 1.0))]), writer.known())).stored == 1
    assert store.samples == {UP: dict.fromkeys(range(NOW, NOW + 5), 1.0)}
    assert store.resolved == 1


def test_each_rejected_sample_has_its_reason_and_the_others_are_stored() -> None:
    store = MemoryStore(NOW, most_series=2)
    writer = SampleWriter(store)
    sent = [
        series("up", (NOW, 1.0), (NOW, 1.0), (NOW, 2.0), (NOW - WINDOW - 1, 1.0), (NOW + AHEAD + 1, 1.0)),
        Sent([("job", "a")], [(NOW, 1.0)]),
        series("down", (NOW, 3.0)),
        series("third", (NOW, 4.0), (NOW + 1, 4.0)),
    ]
    columns = decode_2(request_2(sent))
    written = writer.write(columns)
    assert (written.stored, written.duplicates) == (3, 1)
    assert store.samples == {UP: {NOW: 1.0}, (("__name__", "down"),): {NOW: 3.0}}
    reasons = {rejection.index: rejection.reason for rejection in written.rejections}
    assert sorted(reason for reason in reasons.values() if not reason.startswith("missing metric name")) == sorted(
        (FULL, FULL, CONFLICTING, TOO_OLD, TOO_NEW)
    )
    assert len(reasons) == 6
    lines = summary(columns, written)
    assert any(line == f"1 samples rejected: {TOO_OLD}: up{{}} at {NOW - WINDOW - 1}" for line in lines)
    assert any("missing metric name" in line and '{job="a"}' in line for line in lines)


def test_series_that_the_store_removed_are_resolved_again() -> None:
    store = MemoryStore(NOW)
    writer = SampleWriter(store)
    for time in range(NOW, NOW + 3):
        assert writer.write(decode_1(request_1([series("up", (time, 1.0))]), writer.known())).stored == 1
        store.forget()
    assert store.resolved == 3


class ForgettingStore(MemoryStore):
    """A store that removes its series before the next appends."""

    def __init__(self, times: int) -> None:
        super().__init__(NOW)
        self.times = times

    def append(self, batch: Batch) -> Appended:
        if self.times:
            self.times -= 1
            self.forget()
        return super().append(batch)


def test_series_removed_between_resolution_and_append_are_resolved_again() -> None:
    store = ForgettingStore(RESOLUTIONS - 1)
    written = SampleWriter(store).write(decode_1(request_1([series("up", (NOW, 1.0))]), ()))
    assert (written.stored, written.rejections) == (1, [])
    assert store.samples[UP] == {NOW: 1.0}


def test_write_fails_when_series_are_removed_again_and_again() -> None:
    store = ForgettingStore(RESOLUTIONS)
    writer = SampleWriter(store)
    with pytest.raises(SeriesRemovedError, match="Send the samples again"):
        writer.write(decode_1(request_1([series("up", (NOW, 1.0))]), ()))
    assert writer.write(decode_1(request_1([series("up", (NOW, 1.0))]), ())).stored == 1


def test_full_store_raises_and_a_later_write_succeeds() -> None:
    store = MemoryStore(NOW)
    writer = SampleWriter(store)
    store.is_full = True
    with pytest.raises(StoreUnavailableError):
        writer.write(decode_1(request_1([series("up", (NOW, 1.0))]), writer.known()))
    store.is_full = False
    assert writer.write(decode_1(request_1([series("up", (NOW, 1.0))]), writer.known())).stored == 1


def test_series_above_the_limit_are_resolved_again_later() -> None:
    store = MemoryStore(NOW, most_series=0)
    writer = SampleWriter(store)
    assert writer.write(decode_1(request_1([series("up", (NOW, 1.0))]), writer.known())).rejections[0].reason == FULL
    store.most_series = 1
    assert writer.write(decode_1(request_1([series("up", (NOW, 1.0))]), writer.known())).stored == 1


def test_cache_stays_within_its_bound() -> None:
    writer = SampleWriter(MemoryStore(NOW), cache_bytes=50_000)
    for number in range(2000):
        writer.write(decode_1(request_1([series(f"metric_{number}", (NOW, 1.0))]), writer.known()))
        assert len(writer.known()) <= 50_000 / 150


def test_metadata_is_stored_when_it_changes() -> None:
    store = MemoryStore(NOW)
    writer = SampleWriter(store)
    for text in ("Old.", "New."):
        sent = Sent([("__name__", "up")], [(NOW, 1.0)], kind=2, help=text)
        writer.write(decode_2(request_2([sent])))
        assert store.metadata == {"up": Metadata("gauge", text)}


def test_concurrent_writes_store_every_sample() -> None:
    store = MemoryStore(NOW)
    writer = SampleWriter(store)

    def write(offset: int) -> None:
        for step in range(50):
            sent = [series(f"m{number}", (NOW + 100 * offset + step, 1.0)) for number in range(20)]
            writer.write(decode_1(request_1(sent), writer.known()))
            if step % 10 == offset:
                store.forget()

    threads = [threading.Thread(target=write, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(len, store.samples.values())) == 4 * 50 * 20
