"""Appends the samples of a batch to the store: finds stored ones, and writes new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store import accepting
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.chunks import SLICE, read_raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metricat_hub.model.samples import Appended, Batch, Times
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.head import Run

_MOST_HEADS = 4
"""The store rejects samples if this multiple of `head_samples` waits for packing, to limit memory."""
_SMALL_HEAD = 500_000


def append(core: Core, batch: Batch, now: int, *, any_age: bool = False) -> Appended:
    """Store the new samples of a batch. The caller must hold `core.mutex`. See `accepting.accept`."""
    return accepting.accept(_Target(core, now), batch, now, any_age=any_age)


class _Target:
    def __init__(self, core: Core, now: int) -> None:
        self._core = core
        self._now = now
        self.settings = core.settings
        self.times = core.times
        self.rejected = core.rejected

    def stored(self, series: NDArray[np.int32], times: Times) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        return _stored(self._core, series, times)

    def store(self, run: Run, *, in_order: bool) -> None:
        _store(self._core, run, self._now, in_order=in_order)


def _stored(core: Core, series: NDArray[np.int32], times: Times) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Return for each sample whether the store has one of this series and time, and the bits of its value."""
    stored = np.zeros(len(series), np.bool_)
    bits = np.zeros(len(series), np.uint64)
    numbers, starts = np.unique(series, return_index=True)
    places = dict(zip(numbers.tolist(), zip(starts, [*starts[1:], len(series)], strict=True), strict=True))
    start, end = int(times.min()), int(times.max())
    for at in range(0, len(numbers), SLICE):
        for number, have, values in read_raw(core, numbers[at : at + SLICE], start, end, lambda _: None):
            begin, stop = places[number]
            found = np.searchsorted(have, times[begin:stop])
            found[found == len(have)] = 0
            stored[begin:stop] = have[found] == times[begin:stop]
            bits[begin:stop] = np.ascontiguousarray(values).view(np.uint64)[found]
    return stored, bits


def _store(core: Core, run: Run, now: int, *, in_order: bool) -> None:
    """Write samples to the file, then to memory."""
    core.check_space(now)
    waiting = core.head.samples + core.packing.samples
    limit = _MOST_HEADS * max(core.settings.head_samples, _SMALL_HEAD)
    if waiting > limit:
        raise StoreUnavailableError(
            f"{core.folder}: {waiting} samples wait in memory to be packed, above the limit of {limit}. Retry later; "
            "if the error persists, the disk is too slow or fails."
        )
    core.head_row = core.write("INSERT INTO head (data) VALUES (?)", [(encoding.encode_batch(run),)])
    core.head.add(run)
    core.newest.add(run, in_order=in_order)
    if run.first <= core.past_until:
        core.past_changes += 1
