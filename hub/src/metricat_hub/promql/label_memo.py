"""A cache of the results of operations on the labels of many series.

Rules and dashboards evaluate the same expressions repeatedly, over series whose labels are the same objects each time.
For a rule over a hundred nodes, operations on labels cost more time than those on numbers. The cache compares labels by
identity. It keeps references to them, so no other object can have the same identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from metricat_hub.model.labels import Labels

_Result = TypeVar("_Result")
_MOST: Final = 200_000
"""The most label sets in the inputs of all cached operations together. Above it, the cache is cleared."""
_LONGEST: Final = 20_000

_kept: dict[tuple[Hashable, tuple[int, ...]], tuple[object, Sequence[Labels]]] = {}
_size = 0


def remembered(
    operation: Hashable, labels: Sequence[Labels], compute: Callable[[], _Result], others: Sequence[Labels] = ()
) -> _Result:
    """Return the result of an operation on these labels, from the cache if possible.

    Args:
        operation: identifies the operation, with its parameters.
        labels: the labels on which the result depends.
        compute: computes the result if it is not in the cache. Callers must not change the result.
        others: further labels on which the result depends.
    """
    global _kept, _size  # noqa: PLW0603 -- one memo for the process, as `lru_cache` has
    key = operation, (len(labels), *map(id, labels), *map(id, others))
    known = _kept.get(key)
    if known is not None:
        return cast("_Result", known[0])
    result = compute()
    size = len(labels) + len(others)
    if size <= _LONGEST:
        if _size + size > _MOST:
            _kept, _size = {}, 0
        _size += size + 1
        _kept[key] = result, (*labels, *others)
    return result
