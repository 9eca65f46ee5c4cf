"""The first and the newest sample time of each active series, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cramjam
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times

_NEVER = np.iinfo(np.int64).max


class SeriesTimes:
    """Times of the first and the newest sample by series. Not thread-safe: the owner must lock it."""

    def __init__(self) -> None:
        self.newest: Times = np.zeros(1024, np.int64)
        """0: a series without samples."""
        self.first: Times = np.full(1024, _NEVER, np.int64)
        self.active: NDArray[np.bool_] = np.zeros(1024, np.bool_)

    def add(self, number: int, first: int = _NEVER, newest: int = 0) -> None:
        """Add a series."""
        if number >= len(self.newest):
            more = max(len(self.newest), number + 1 - len(self.newest))
            self.newest = np.concatenate([self.newest, np.zeros(more, np.int64)])
            self.first = np.concatenate([self.first, np.full(more, _NEVER, np.int64)])
            self.active = np.concatenate([self.active, np.zeros(more, np.bool_)])
        self.active[number] = True
        self.first[number] = first
        self.newest[number] = newest

    def known(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return a mask of the numbers that belong to active series."""
        possible = (numbers >= 0) & (numbers < len(self.active))
        if bool(possible.all()):
            return self.active[numbers]
        possible[possible] = self.active[numbers[possible]]
        return possible

    def all_known(self, numbers: NDArray[np.int64]) -> bool:
        """Return whether all numbers belong to active series. `numbers` must ascend, and not be empty."""
        return bool(numbers[0] >= 0 and numbers[-1] < len(self.active) and self.active[numbers].all())

    def update(self, numbers: NDArray[np.int32], times: Times) -> None:
        """Update the times with new samples, sorted by series, then by time."""
        np.maximum.at(self.newest, numbers, times)
        np.minimum.at(self.first, numbers, times)

    def update_in_order(self, numbers: NDArray[np.int32], times: Times) -> None:
        """Update the times with samples of different series, each newer than the series' newest sample."""
        self.newest[numbers] = times
        fresh = self.first[numbers] == _NEVER
        if bool(fresh.any()):
            self.first[numbers[fresh]] = times[fresh]

    def encode(self) -> bytes:
        """Encode the times of all active series as bytes."""
        numbers = np.flatnonzero(self.active).astype(np.int32)
        columns = (numbers.tobytes(), self.first[numbers].tobytes(), self.newest[numbers].tobytes())
        return bytes(cramjam.zstd.compress(b"".join(columns), 1))

    def restore(self, data: bytes) -> None:
        """Restore times from the bytes of `encode`, for series that have been added."""
        plain = bytes(cramjam.zstd.decompress(data))  # nosemgrep: decompression-without-limit -- the hub's own file
        count = len(plain) // 20
        numbers = np.frombuffer(plain, np.int32, count)
        first = np.frombuffer(plain, np.int64, count, 4 * count)
        newest = np.frombuffer(plain, np.int64, count, 12 * count)
        known = self.known(numbers.astype(np.int64))
        self.first[numbers[known]] = np.minimum(self.first[numbers[known]], first[known])
        self.newest[numbers[known]] = np.maximum(self.newest[numbers[known]], newest[known])
