"""Sparklines: small charts of block characters. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.notify.quantity import format_value

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = " "


@dataclass(frozen=True, slots=True)
class Trend:
    """A sparkline of the values of the last hour, with the lowest and the highest value."""

    blocks: str
    low: str
    high: str

    @classmethod
    def of(cls, values: Sequence[float], unit: str) -> Trend | None:
        """Return the trend of equally spaced values; NaN means a missing value. None for fewer than two values."""
        known = [one for one in values if math.isfinite(one)]
        if len(known) < 2:
            return None
        return cls(sparkline(values), format_value(min(known), unit), format_value(max(known), unit))

    @property
    def text(self) -> str:
        """Return the sparkline with its lowest and its highest value, as one line."""
        return f"{self.blocks} {self.low} to {self.high}"


def sparkline(values: Sequence[float]) -> str:
    """Return one block character for each value, scaled from the lowest to the highest. Equal values get the middle."""
    known = [one for one in values if math.isfinite(one)]
    low = min(known, default=0.0) / 2  # halves, because the difference of two large values is infinite
    span = max(known, default=0.0) / 2 - low
    blocks = []
    for one in values:
        if not math.isfinite(one):
            blocks.append(_GAP)
        elif span == 0:
            blocks.append(_BLOCKS[3])
        else:
            blocks.append(_BLOCKS[min(int((one / 2 - low) / span * len(_BLOCKS)), len(_BLOCKS) - 1)])
    return "".join(blocks)
