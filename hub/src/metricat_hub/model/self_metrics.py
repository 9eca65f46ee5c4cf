"""The type of the hub's own metrics, which packages count and the API exposes at `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of the hub's own metrics, with name, help text and labels."""

    name: str
    help: str
    value: float
    is_counter: bool = field(default=False, kw_only=True)
    labels: Mapping[str, str] = field(default_factory=dict, kw_only=True)
