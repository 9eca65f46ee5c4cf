"""The receivers of the running hub: loads their settings, reloads them after a change, and runs their delivery."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from metricat_hub.config.file_stamp import file_stamp
from metricat_hub.config.receivers import parse_receivers
from metricat_hub.model.errors import HubError
from metricat_hub.notify.channels.opening import open_channels
from metricat_hub.notify.delivery import Delivery
from metricat_hub.use_cases.trends import Trends
from metricat_hub.wiring.repeated_work import repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.config.settings import Settings
    from metricat_hub.model.alerts import ActiveAlert
    from metricat_hub.model.self_metrics import Sample
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.wiring.rules import RuleParts

_LOG = logging.getLogger(__name__)
_RELOAD_SECONDS = 5.0


class ReceiverParts:
    """The opened receivers of the hub."""

    def __init__(self, settings: Settings, rules: RuleParts, queries: QueryEngine, clock: Callable[[], int]) -> None:
        """Open the queue, and read the section `receivers`. The history of the rules gets the results.

        Raises:
            ConfigFileError: a receiver is not valid.
            StoreUnavailableError: the queue cannot be opened.
        """
        self._path = settings.config_file
        self._problem = ""
        self._stamp = file_stamp(self._path)
        receivers = parse_receivers(self._path, os.environ)
        self._rules = rules.rules
        self.delivery = Delivery(settings.data, clock, log=rules.history.log, trends=Trends(queries))
        self.delivery.resending.is_active = self._is_active
        self.delivery.configure(open_channels(receivers))

    def _is_active(self, alert: ActiveAlert) -> bool:
        """Return whether a rule's alert with the same labels fires."""
        return any(
            (one := rule.state.alerts.get(alert.labels)) is not None and one.state.resolved is None
            for group in self._rules.groups()
            for rule in group.rules
        )

    def problems(self) -> Sequence[str]:
        """Return the current problems of receivers, each with a remedy."""
        return [*([self._problem] if self._problem else []), *self.delivery.problems()]

    def samples(self) -> Sequence[Sample]:
        """Return the hub's own metrics about notifications."""
        return self.delivery.samples()

    async def run(self) -> None:
        """Deliver notifications, and apply changes of the settings file, until canceled."""
        self.delivery.start()
        while True:
            await asyncio.sleep(_RELOAD_SECONDS)
            await asyncio.to_thread(self.reload)

    @repeated
    def reload(self) -> None:
        """Reload the receivers if the file has changed. If the section is invalid, keep the previous receivers."""
        stamp = file_stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.delivery.configure(open_channels(parse_receivers(self._path, os.environ)))
        except HubError as error:
            self._problem = f"the hub keeps the previous receivers: {error}"
            _LOG.error("%s", self._problem)
            return
        self._problem = ""

    def close(self) -> None:
        """Close the queue. Undelivered notifications remain on disk."""
        self.delivery.close()
