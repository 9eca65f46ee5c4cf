"""One check and its result."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """A check with its result. `section` is the part of the monitoring chain, `name` is the statement to verify."""

    section: str
    name: str
    state: State = State.OK
    message: str = ""
    remedy: str = ""
    """A command or an instruction that repairs the link, or shows the cause."""
