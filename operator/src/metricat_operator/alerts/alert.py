"""What an alert is, as data."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]

NODE = "{{ $labels.node }} (pool {{ $labels.pool }})"
"""How a description names the node."""


@dataclass(frozen=True)
class Level:
    """One severity of an alert: fires when the expression is true for `duration`.

    `expr` is there where the level asks something else than the alert's other levels do. One about the `fleet` is about
    a target's nodes together, whatever labels their pools have.
    """

    severity: Severity
    threshold: float | None
    duration: str
    expr: str = ""
    per_target: bool = False


@dataclass(frozen=True)
class Alert:
    """An alert.

    In `expr`, `<threshold>` becomes the level's threshold, `<selector>` the label matchers that keep it to one
    target's series, `<coverage>` those that keep it to what the operator tells of the target; texts may hold them too.
    `resource` says what the alert is about on the node, and is a template: a critical silences its own warning on the
    same node and resource. An alert that `lingers` goes on firing, after it was last true, for as long as it had to be
    true before: so a value that sways about the threshold does not flap. `action` is the first thing to do: the message
    says so itself, for it has a link to more only where somebody keeps the pages at a URL.
    """

    name: str
    meaning: str
    expr: str
    resource: str
    summary: str
    description: str
    action: str
    levels: tuple[Level, ...]
    unit: str = ""
    keep_firing: bool = False

    @property
    def per_node(self) -> bool:
        """Whether it is asked of a target's series; else it is about the chain as a whole."""
        return any("<selector>" in (level.expr or self.expr) for level in self.levels)
