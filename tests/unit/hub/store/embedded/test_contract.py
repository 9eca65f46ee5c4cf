"""The embedded store fulfills the contract of stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.store.embedded import EmbeddedStore
from support.store_contract import Backend, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestEmbeddedStore(StoreContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        backend = Backend(lambda settings, clock: EmbeddedStore.open(tmp_path, settings, clock))
        yield backend
        backend.close()
