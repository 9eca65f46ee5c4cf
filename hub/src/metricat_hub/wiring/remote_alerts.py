"""Access to the alerts of the server that evaluates the rules, if the store of the hub is a Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metricat_hub.config.settings import Settings
    from metricat_hub.remote.http_client import Client
    from metricat_hub.use_cases.remote_alerts import RemoteAlerts
    from metricat_hub.wiring.storage import Storage


class RemoteAlertParts:
    """The alerts of another server, and the connections to its Alertmanager."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.alerts: RemoteAlerts | None = None
        """The alerts of the server; None: the hub evaluates the rules."""
        self._client: Client | None = None
        if storage.remote is None:
            return
        from metricat_hub.remote.http_client import Client  # noqa: PLC0415 -- imports ssl
        from metricat_hub.use_cases.alertmanager_api import AlertmanagerApi  # noqa: PLC0415 -- if needed
        from metricat_hub.use_cases.remote_alerts import RemoteAlerts  # noqa: PLC0415 -- as above

        if server := settings.alert_history.alertmanager:
            self._client = Client(server)
        self.alerts = RemoteAlerts(storage.remote.api, AlertmanagerApi(self._client) if self._client else None)

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()
