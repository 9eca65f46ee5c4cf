"""Decides which samples of a batch a store accepts, and stores them. For stores that keep times of each series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from metricat_hub.model.samples import Appended
from metricat_hub.store.embedded.head import run_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metricat_hub.model.samples import Batch, Times
    from metricat_hub.store.embedded.head import Run
    from metricat_hub.store.embedded.series_times import SeriesTimes
    from metricat_hub.store.embedded.settings import Settings


class Target(Protocol):
    """The methods that `accept` needs of a store."""

    settings: Settings
    times: SeriesTimes
    rejected: dict[str, int]

    def stored(self, series: NDArray[np.int32], times: Times) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Return a mask of samples whose series and time the store already has, and the bits of the stored values."""
        ...

    def store(self, run: Run, *, in_order: bool) -> None:
        """Store samples; raise `StoreUnavailableError` if the store accepts none of them.

        Args:
            run: the samples.
            in_order: whether each series has one sample, which is newer than the series' newest sample.
        """
        ...


def accept(target: Target, batch: Batch, now: int, *, any_age: bool = False) -> Appended:
    """Store the new samples of a batch. The caller must hold the store's mutex.

    Args:
        target: the store.
        batch: the samples.
        now: the current time in milliseconds since 1970.
        any_age: whether to accept samples older than the out-of-order window and the retention.

    Raises:
        StoreUnavailableError: no sample is stored.
    """
    series, times, values = batch.series, batch.times, batch.values
    if not len(series):
        return Appended(0)
    if bool((series[1:] > series[:-1]).all()) and target.times.all_known(series):
        run = run_of(series.astype(np.int32), times, values)
        newest = target.times.newest[run.series]
        in_order = run.first > newest.max() or bool((times > newest).all())
        if in_order and (any_age or not _outside(target, run, now)):
            target.store(run, in_order=True)
            target.times.update_in_order(run.series, times)
            return Appended(len(run))
    return _accept_carefully(target, batch, target.times.known(series), now, any_age=any_age)


def _outside(target: Target, run: Run, now: int) -> bool:
    settings = target.settings
    return run.last > now + settings.future or run.first <= now - settings.raw_retention


def _accept_carefully(target: Target, batch: Batch, active: NDArray[np.bool_], now: int, *, any_age: bool) -> Appended:
    """Store a batch with samples that may be duplicates, old or out of order."""
    settings = target.settings
    times = batch.times
    too_new = active & (times > now + settings.future)
    too_old = np.zeros(len(times), np.bool_)
    if not any_age:
        oldest = np.full(len(times), now - settings.raw_retention + 1)
        oldest[active] = np.maximum(oldest[active], target.times.newest[batch.series[active]] - settings.out_of_order)
        too_old = active & (times < oldest)
    order = np.flatnonzero(active & ~too_new & ~too_old)
    order = order[np.lexsort((times[order], batch.series[order]))]
    series = batch.series[order].astype(np.int32)
    times = times[order]
    bits = np.ascontiguousarray(batch.values).view(np.uint64)[order]

    again = np.zeros(len(order), np.bool_)
    again[1:] = (series[1:] == series[:-1]) & (times[1:] == times[:-1])
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
    """The index of the first sample with the same series and time."""
    reference = bits[first]
    stored = np.zeros(len(order), np.bool_)
    late = np.flatnonzero(~again & (times <= target.times.newest[series]))
    if len(late):
        stored[late], reference[late] = target.stored(series[late], times[late])
        reference[~stored] = bits[~stored]
        stored, reference = stored[first], reference[first]
    differs = (again | stored) & (bits != reference)
    new = ~again & ~stored
    if bool(new.any()):
        run = run_of(series[new], times[new], bits[new].view(np.float64))
        target.store(run, in_order=False)
        target.times.update(run.series, run.times)
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
            target.rejected[reason] += int(rejected.sum())
    return result
