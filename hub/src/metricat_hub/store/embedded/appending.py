"""Appending: which samples of a batch the store accepts, and how it writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.samples import Appended
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.chunks import SLICE, read_raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metricat_hub.model.samples import Batch, Times, Values
    from metricat_hub.store.embedded.core import Core

_MOST_HEADS = 4
"""Bounds memory: the store refuses samples while this multiple of `head_samples` waits for packing."""
_SMALL_HEAD = 500_000


def append(core: Core, batch: Batch, now: int, *, any_age: bool = False) -> Appended:
    """Store samples. The caller has `mutex`.

    Args:
        core: the store.
        batch: the samples.
        now: the time.
        any_age: whether samples are accepted that are older than the out-of-order window and the retention.

    Raises:
        StoreUnavailableError: no sample is stored.
    """
    series, times, values = batch.series, batch.times, batch.values
    if not len(series):
        return Appended(0)
    active = core.times.known(series)
    if bool(active.all()) and bool((series[1:] > series[:-1]).all()):
        numbers = series.astype(np.int32)
        in_order = bool((times > core.times.newest[numbers]).all())
        if in_order and (any_age or not _outside(core, times, now)):
            _store(core, numbers, times, values)
            core.times.update_in_order(numbers, times)
            return Appended(len(numbers))
    return _append_carefully(core, batch, active, now, any_age=any_age)


def _outside(core: Core, times: Times, now: int) -> bool:
    settings = core.settings
    return bool(times.max() > now + settings.future) or bool(times.min() <= now - settings.raw_retention)


def _append_carefully(core: Core, batch: Batch, active: NDArray[np.bool_], now: int, *, any_age: bool) -> Appended:
    """Store a batch with samples that may be duplicates, old or out of order."""
    settings = core.settings
    times = batch.times
    too_new = active & (times > now + settings.future)
    too_old = np.zeros(len(times), np.bool_)
    if not any_age:
        oldest = np.full(len(times), now - settings.raw_retention + 1)
        oldest[active] = np.maximum(oldest[active], core.times.newest[batch.series[active]] - settings.out_of_order)
        too_old = active & (times < oldest)
    order = np.flatnonzero(active & ~too_new & ~too_old)
    order = order[np.lexsort((times[order], batch.series[order]))]
    series = batch.series[order].astype(np.int32)
    times = times[order]
    bits = np.ascontiguousarray(batch.values).view(np.uint64)[order]

    again = np.zeros(len(order), np.bool_)
    again[1:] = (series[1:] == series[:-1]) & (times[1:] == times[:-1])
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
    """The place of the first sample with the same series and time."""
    reference = bits[first]
    stored = np.zeros(len(order), np.bool_)
    late = np.flatnonzero(~again & (times <= core.times.newest[series]))
    if len(late):
        stored[late], reference[late] = _stored(core, series[late], times[late])
        reference[~stored] = bits[~stored]
        stored, reference = stored[first], reference[first]
    differs = (again | stored) & (bits != reference)
    new = ~again & ~stored
    if bool(new.any()):
        _store(core, series[new], times[new], bits[new].view(np.float64))
        core.times.update(series[new], times[new])
    conflicting = np.zeros(len(active), np.bool_)
    conflicting[order[differs]] = True
    result = Appended(
        int(new.sum()),
        int((~new & ~differs).sum()),
        conflicting if bool(differs.any()) else None,
        too_old if bool(too_old.any()) else None,
        too_new if bool(too_new.any()) else None,
        None if bool(active.all()) else ~active,
    )
    for reason in ("conflicting", "too_old", "too_new", "unknown"):
        rejected = getattr(result, reason)
        if rejected is not None:
            core.rejected[reason] += int(rejected.sum())
    return result


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


def _store(core: Core, series: NDArray[np.int32], times: Times, values: Values) -> None:
    """Write sorted samples to the file, then to memory."""
    core.check_space()
    waiting = core.head.samples + sum(len(run.series) for run in core.packing)
    if waiting > _MOST_HEADS * max(core.settings.head_samples, _SMALL_HEAD):
        raise StoreUnavailableError(
            f"{core.folder}: {waiting} samples wait in memory to be packed. Retry later; if it persists, "
            "the disk is too slow or fails."
        )
    # Copies, because a caller may reuse its arrays.
    times, values = np.array(times, np.int64), np.array(values, np.float64)
    core.head_row = core.write("INSERT INTO head (data) VALUES (?)", [(encoding.encode_batch(series, times, values),)])
    core.head.add(series, times, values)
