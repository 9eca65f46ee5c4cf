"""Which alert silences which: the one source of the AlertmanagerConfig's rules and of those in docs/alertmanager.md.

Nothing silences what is graver than itself, but a node that is out of service, or new, all that is about it; nor
anything of another node. Two labels that are both absent count as
equal to Alertmanager, so each side is made to have what it is compared by.
"""

from dataclasses import dataclass
from typing import Literal

from metricat_operator.alerts.node_lifecycle import SILENCED_BY


@dataclass(frozen=True)
class Matcher:
    """What an alert's label must be like."""

    name: str
    match: Literal["=", "!=", "=~", "!~"]
    value: str

    def __str__(self) -> str:
        """As Alertmanager's configuration has it."""
        return f'{self.name}{self.match}"{self.value}"'


@dataclass(frozen=True)
class Inhibition:
    """While a source fires, targets that have these labels in common with it are not told."""

    why: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


_LESSER = Matcher("severity", "=~", "warning|info")
_NODE = ("cluster", "namespace", "service", "node")
"""`cluster` is the external label by which people tell their Prometheuses apart; without it, nothing changes."""

INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        why="A critical silences the warning about the same thing on the same node.",
        source=(Matcher("severity", "=", "critical"), Matcher("resource", "!=", "")),
        target=(_LESSER, Matcher("resource", "!=", "")),
        equal=(*_NODE, "resource"),
    ),
    Inhibition(
        why="Without its agent nothing new is known of a node: what still fires there, lingers.",
        source=(Matcher("alertname", "=", "NodeAgentDown"), Matcher("node", "!=", "")),
        target=(_LESSER, Matcher("alertname", "!=", "NodeAgentDown"), Matcher("node", "!=", "")),
        equal=_NODE,
    ),
    Inhibition(
        why="A node that is cordoned, about to be deleted or brand-new calls nobody.",
        source=(Matcher("alertname", "=~", SILENCED_BY), Matcher("node", "!=", "")),
        target=(Matcher("alertname", "!~", SILENCED_BY), Matcher("node", "!=", "")),
        equal=_NODE,
    ),
)
