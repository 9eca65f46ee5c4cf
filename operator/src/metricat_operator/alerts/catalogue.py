"""Every alert that Metricat ships: what it watches, its levels and their defaults; and what is recorded for them."""

from metricat_operator.alerts import compute, machine, network, nodes, own, recording, storage, unusual
from metricat_operator.alerts.alert import Alert, Level, Severity
from metricat_operator.alerts.recording import Recording

__all__ = ["CATALOGUE", "RECORDINGS", "Alert", "Level", "Severity"]

CATALOGUE: tuple[Alert, ...] = (
    *compute.ALERTS,
    *storage.ALERTS,
    *network.ALERTS,
    *machine.ALERTS,
    *unusual.ALERTS,
    *nodes.ALERTS,
    *own.ALERTS,
)

RECORDINGS: tuple[Recording, ...] = (*recording.RECORDINGS, *nodes.RECORDED)
"""All that is recorded besides the baseline."""
