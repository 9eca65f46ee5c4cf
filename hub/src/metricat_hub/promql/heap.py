"""Selects which of several equal values `topk` and `bottomk` keep, in the same way as Prometheus' binary heap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def kept(values: Sequence[float], count: int, *, largest: bool) -> list[int]:
    """Return the indices of the greatest (or least) values, at most `count` of them."""
    heap: list[int] = []

    def before(one: int, other: int) -> bool:
        left, right = values[one], values[other]
        return math.isnan(left) or (left < right if largest else left > right)

    for index, value in enumerate(values):
        if len(heap) < count:
            heap.append(index)
            _up(heap, len(heap) - 1, before)
            continue
        root = values[heap[0]]
        if (root < value if largest else root > value) or (math.isnan(root) and not math.isnan(value)):
            heap[0] = index
            _down(heap, before)
    return heap


def _up(heap: list[int], place: int, before: Callable[[int, int], bool]) -> None:
    while place and before(heap[place], heap[(place - 1) // 2]):
        parent = (place - 1) // 2
        heap[place], heap[parent] = heap[parent], heap[place]
        place = parent


def _down(heap: list[int], before: Callable[[int, int], bool]) -> None:
    place = 0
    while (child := 2 * place + 1) < len(heap):
        if child + 1 < len(heap) and before(heap[child + 1], heap[child]):
            child += 1
        if not before(heap[child], heap[place]):
            return
        heap[place], heap[child] = heap[child], heap[place]
        place = child
