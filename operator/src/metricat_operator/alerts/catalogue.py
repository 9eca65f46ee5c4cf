"""Every alert that Metricat ships: what it watches, its levels and their defaults."""

from metricat_operator.alerts import compute, machine, network, own, storage, unusual
from metricat_operator.alerts.alert import Alert, Level, Severity

__all__ = ["CATALOGUE", "Alert", "Level", "Severity"]

CATALOGUE: tuple[Alert, ...] = (
    *compute.ALERTS,
    *storage.ALERTS,
    *network.ALERTS,
    *machine.ALERTS,
    *unusual.ALERTS,
    *own.ALERTS,
)
