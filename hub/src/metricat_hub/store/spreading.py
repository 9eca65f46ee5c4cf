"""Converts results of `Writer.append` for stores that pass only a part of a batch to another store. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.samples import Appended

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]


def spread(appended: Appended, unknown: Mask | None) -> Appended:
    """Return the result for a whole batch. `appended` is the result for the samples outside of the mask `unknown`."""
    if unknown is None:
        return appended
    known = ~unknown

    def whole(mask: Mask | None) -> Mask | None:
        if mask is None:
            return None
        found = np.zeros(len(known), np.bool_)
        found[known] = mask
        return found

    later = whole(appended.unknown)
    return Appended(
        appended.accepted,
        appended.duplicates,
        whole(appended.conflicting),
        whole(appended.too_old),
        whole(appended.too_new),
        unknown if later is None else unknown | later,
    )


def rejections(appended: Appended) -> Mask | None:
    """Return a mask of the samples that were rejected or of unknown series; None: no such sample exists."""
    masks = [
        mask
        for mask in (appended.conflicting, appended.too_old, appended.too_new, appended.unknown)
        if mask is not None
    ]
    return np.logical_or.reduce(masks) if masks else None
