"""The alerts about nodes and agents, with levels and defaults, and the recording rules for them.

`operator` has the alerts about the operator, and `hub` those about the hub.
"""

from metricat_rules import (
    agents,
    anomaly,
    cpu_memory,
    endpoints,
    hardware,
    network,
    node_lifecycle,
    recording,
    storage,
)
from metricat_rules.alert import Alert, Level, Severity
from metricat_rules.recording import Recording

__all__ = ["CATALOGUE", "RECORDINGS", "Alert", "Level", "Severity"]

CATALOGUE: tuple[Alert, ...] = (
    *cpu_memory.ALERTS,
    *storage.ALERTS,
    *network.ALERTS,
    *hardware.ALERTS,
    *endpoints.ALERTS,
    *anomaly.ALERTS,
    *node_lifecycle.ALERTS,
    *agents.ALERTS,
)

RECORDINGS: tuple[Recording, ...] = (*recording.RECORDINGS, *node_lifecycle.RECORDED)
"""All recording rules except the baseline."""
