"""Metadata of a metric: its type, help text and unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

MetricType: TypeAlias = Literal["counter", "gauge", "histogram", "summary", "unknown", "info", "stateset"]


@dataclass(frozen=True, slots=True)
class Metadata:
    """Type, help text and unit of a metric, as the exposition format declares them; empty: not declared."""

    type: MetricType = "unknown"
    help: str = ""
    unit: str = ""
