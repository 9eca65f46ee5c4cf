"""Alerts as data."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]

NODE = "{{ $labels.node }} (pool {{ $labels.pool }})"
"""How a description names the node."""


def plural(one: str, more: str) -> str:
    """Return a template of the value as a whole number with its noun, such as `1 disk` or `2 disks`."""
    return f'{{{{ $value | printf "%.0f" }}}} {{{{ if lt $value 1.5 }}}}{one}{{{{ else }}}}{more}{{{{ end }}}}'


@dataclass(frozen=True)
class Level:
    """One severity of an alert: it fires when the expression has been true for `duration`.

    `expr`, `summary` and `description` replace those of the alert for this level. A level that is `per_target`
    evaluates all pools with the same settings of the alert together, also if the pools have different extra labels.
    """

    severity: Severity
    threshold: float | None
    duration: str
    expr: str = ""
    per_target: bool = False
    summary: str = ""
    description: str = ""


@dataclass(frozen=True)
class Alert:
    """The definition of an alert: its expression, texts and levels.

    `expr` and the texts may contain placeholders. `<threshold>` becomes the level's threshold. `<selector>` becomes
    the label matchers that restrict series to one target, and `<coverage>` those for the operator's series about it.
    `<namespace>`, `<service>` and `<window>` become the target's namespace, its Service and its rate window.
    `resource` is a template for the part of the node that the alert is about. A critical alert inhibits warnings and
    infos about the same resource of the same node. An alert with `keep_firing` keeps firing, after its expression was
    last true, for as long as it had to be true before, at most an hour. So a value that oscillates around the threshold
    does not make it flap. `action` is the first step for the reader of a message: not every installation has a URL for
    its runbooks.
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
        """Return whether the alert reads a target's series; otherwise it is about the alerting chain as a whole."""
        return any("<selector>" in (level.expr or self.expr) for level in self.levels)
