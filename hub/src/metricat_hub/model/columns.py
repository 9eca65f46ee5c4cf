"""Operations on numpy columns that use less memory than numpy's own functions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Integer = TypeVar("Integer", bound=np.integer)


def distinct(numbers: NDArray[Integer]) -> NDArray[Integer]:
    """Return the distinct numbers in ascending order.

    `numpy.unique` imports `numpy.ma` at its first call, which takes 1 MiB of memory.
    """
    found = np.sort(numbers)
    if len(found):
        found = found[np.append(True, found[1:] != found[:-1])]
    return found
