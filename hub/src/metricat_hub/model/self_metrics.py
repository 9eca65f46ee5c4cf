"""A metric of the hub itself, which a package counts and the API exposes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sample:
    """A number that a package of the hub counts."""

    name: str
    help: str
    value: float
    is_counter: bool = field(default=False, kw_only=True)
    labels: Mapping[str, str] = field(default_factory=dict, kw_only=True)
