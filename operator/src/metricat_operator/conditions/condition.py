"""One condition of a status."""

from dataclasses import dataclass
from typing import Any, Self

from metricat_operator.conditions.reasons import FORMER_REASONS
from metricat_operator.conditions.types import FORMER_TYPES, TYPES, ConditionType

MAX_MESSAGE = 4096
"""Longest message in characters; the API server accepts 32,768."""

_STATUS = {True: "True", False: "False", None: "Unknown"}
_HOLDS = {status: holds for holds, status in _STATUS.items()}


@dataclass(frozen=True)
class Condition:
    """A condition (metav1.Condition).

    `holds` is None for the status Unknown. `reason` is a `Reason`, or the reason that the API server returned.
    """

    type: ConditionType
    holds: bool | None
    reason: str
    message: str
    observed_generation: int | None = None
    last_transition_time: str = ""

    def __post_init__(self) -> None:
        """Cut a message that is longer than `MAX_MESSAGE`."""
        if len(self.message) > MAX_MESSAGE:
            object.__setattr__(self, "message", f"{self.message[: MAX_MESSAGE - 4]} ...")

    @property
    def status(self) -> str:
        """The status in the API: `True`, `False` or `Unknown`."""
        return _STATUS[self.holds]

    @classmethod
    def parse(cls, manifest: dict[str, Any]) -> Self | None:
        """Return the condition of a status; None if Metricat does not own its type.

        Former names become the current ones: an upgrade is not a change of the condition.
        """
        written, reason, status = manifest["type"], manifest.get("reason", ""), manifest.get("status", "Unknown")
        kind = TYPES.get(written) or FORMER_TYPES.get(written)
        if kind is None:
            return None
        if written in FORMER_TYPES and status == "True":
            reason = str(kind)
        return cls(
            kind,
            _HOLDS.get(status),
            FORMER_REASONS.get(reason, reason),
            manifest.get("message", ""),
            manifest.get("observedGeneration"),
            manifest.get("lastTransitionTime", ""),
        )

    def manifest(self) -> dict[str, Any]:
        """Return the condition as the status holds it."""
        return {
            "type": str(self.type),
            "status": self.status,
            "reason": str(self.reason),
            "message": self.message,
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": self.last_transition_time,
        }
