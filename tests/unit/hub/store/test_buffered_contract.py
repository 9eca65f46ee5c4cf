"""A store behind a buffer, which is up, fulfills the contract of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from metricat_hub.model.metadata import Metadata
from metricat_hub.model.samples import Batch
from metricat_hub.promql.limits import Limits
from metricat_hub.remote.delivery import QueueSettings
from metricat_hub.store.buffered import BufferedStore
from metricat_hub.store.embedded import EmbeddedStore, Settings
from support.hub_store import BEGIN, DAY, HOUR, labels, named, read, write
from support.store_contract import EVER, A, B, Backend, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.model.ports import ManagedStore
    from support.hub_store import Clock


class TestBufferedStore(StoreContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        def opened(settings: Settings, clock: Clock) -> ManagedStore:
            inner: Any = EmbeddedStore.open(tmp_path / "data", settings, clock)
            return BufferedStore(inner, QueueSettings(tmp_path / "buffer", 1 << 20, 1 << 60), clock, Limits())

        backend = Backend(opened)
        yield backend
        backend.close()

    def test_samples_series_and_metadata_are_returned_after_reopening(self, backend: Backend) -> None:
        """As the contract, apart from the numbers of series, which are those of the process."""
        store = backend.open()
        write(store, {A: [(BEGIN, 1.5)], B: [(BEGIN + 1, float("inf"))]})
        store.set_metadata({"up": Metadata("gauge", "Whether it is up.")})
        store.close()
        store = backend.open()
        assert read(store, named("up"), end=EVER) == {A: [(BEGIN, 1.5)], B: [(BEGIN + 1, float("inf"))]}
        assert store.metadata() == {"up": Metadata("gauge", "Whether it is up.")}

    def test_series_without_samples_leave_the_index_and_stay_readable(self, backend: Backend) -> None:
        """As the contract, but numbers of series remain valid: the store's own are resolved again."""
        store = backend.open(Settings(series_limit=3))
        old = [labels("pod", uid=str(at)) for at in range(3)]
        write(store, {one: [(BEGIN, 1.0)] for one in old})
        numbers, generation = store.resolve(old), store.generation
        new = labels("pod", uid="new")
        assert store.resolve([new]).tolist() == [-1]
        backend.clock.now += DAY + 3 * HOUR
        store.maintain()
        assert store.generation != generation
        assert store.append(Batch(numbers, np.full(3, backend.clock.now), np.ones(3))).accepted == 3
        assert len(read(store, named("pod"), end=EVER)) == 3
