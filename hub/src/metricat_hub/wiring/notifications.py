"""Routing of notifications in the running hub: loads its settings, and runs its steps."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from metricat_agent.config.yaml_text import YamlError, read_file
from metricat_hub.config.file_stamp import file_stamp
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.dispatch.config_file import DEFAULT_RECEIVER, parse_plan
from metricat_hub.model.errors import HubError
from metricat_hub.model.self_metrics import Sample
from metricat_hub.store.routing_state import RoutingState
from metricat_hub.use_cases.notifications import Notifications, alerts_of
from metricat_hub.wiring.repeated_work import repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from metricat_agent.config.yaml_text import Node
    from metricat_hub.config.settings import Settings
    from metricat_hub.dispatch.plan import Plan
    from metricat_hub.model.alerts import ActiveAlert, AlertLog
    from metricat_hub.notify.delivery import Delivery
    from metricat_hub.use_cases.rules import Rules

_LOG = logging.getLogger(__name__)
_RELOAD_SECONDS = 5.0
_STEP_SECONDS = 1.0
_RECEIVERS = "receivers"


class NotificationParts:
    """The opened routing of the hub."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts that it connects
        self,
        settings: Settings,
        rules: Rules,
        deliveries: Delivery | None,
        log: AlertLog | None,
        clock: Callable[[], int],
        url: str,
    ) -> None:
        """Open the saved state, and read the sections of the settings file.

        Raises:
            ConfigFileError: a section is not valid.
            StoreUnavailableError: the saved state cannot be read.
        """
        self._path = settings.config_file
        self._rules = rules
        self._clock = clock
        self._url = url
        self._problem = ""
        self._notice = ""
        self._has_evaluated = False
        self._stamp = file_stamp(self._path)
        plan = self._plan()
        self._saved = RoutingState(settings.data)
        try:
            self.notifications = Notifications(self._saved, deliveries, log)
        except HubError:
            self._saved.close()
            raise
        if deliveries is not None:
            deliveries.resending.is_muted = self.notifications.is_muted
        self.notifications.configure(plan)

    def problems(self) -> Sequence[str]:
        """Return the current problems of routing, each with a remedy."""
        return [one for one in (self._problem, self._notice, self.notifications.problem) if one]

    def samples(self) -> Sequence[Sample]:
        """Return the hub's own metrics about routing."""
        counts = self.notifications.counts
        return [
            Sample(f"metricat_hub_routing_{name}", text, value, is_counter=True)
            for name, text, value in (
                ("notifications", "Notifications that routing created.", counts.notifications),
                ("failures", "Failed steps of routing, which are repeated.", counts.failures),
                (
                    "dropped_events",
                    "Dropped events, because the alert history did not accept them in time.",
                    counts.dropped_events,
                ),
                (
                    "damaged_entries",
                    "Damaged stored notifications and events, which were dropped.",
                    self._saved.damaged,
                ),
            )
        ]

    async def run(self) -> None:
        """Run a step after each evaluation of rules, and at least every second, until canceled."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        def evaluated() -> None:
            self._has_evaluated = True
            wake()

        self._rules.evaluated, self.notifications.changed = evaluated, wake
        reload_at = loop.time() + _RELOAD_SECONDS
        try:
            with ThreadPoolExecutor(1, "routing") as thread:
                while True:
                    if loop.time() >= reload_at:
                        await loop.run_in_executor(thread, self._reload)
                        reload_at = loop.time() + _RELOAD_SECONDS
                    await loop.run_in_executor(thread, self._step)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), _STEP_SECONDS)
                    changed.clear()
        finally:
            self._rules.evaluated = self.notifications.changed = lambda: None

    def _step(self) -> None:
        evaluated, self._has_evaluated = self._has_evaluated, False
        try:
            self.notifications.step(self._alerts, self._clock(), evaluated=evaluated)
        except Exception:  # noqa: BLE001 -- the hub must continue
            _LOG.exception("a step of routing failed; the hub repeats it")
            self._has_evaluated = True

    def _alerts(self) -> Iterable[ActiveAlert]:
        return alerts_of(self._rules.groups())

    @repeated
    def _reload(self) -> None:
        """Read the sections again if the file has changed. An invalid section changes nothing."""
        stamp = file_stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            plan = self._plan()
        except HubError as error:
            self._problem = f"the hub keeps the previous routes: {error}"
            _LOG.error("%s", self._problem)
            return
        self._problem = ""
        self.notifications.configure(plan)

    def _plan(self) -> Plan:
        try:
            root = read_file(self._path) if self._path else None
        except YamlError as error:
            raise ConfigFileError(f"{self._path}: {error}") from None
        receivers = _receiver_names(root)
        plan = parse_plan(root, self._path, receivers, self._url)
        self._notice = (
            f"{self._path}: receivers exist, but the hub sends no notifications: neither route nor a receiver with "
            "the name "
            f"{DEFAULT_RECEIVER} exists. Add one of them."
            if receivers and plan.root is None
            else ""
        )
        return plan

    def close(self) -> None:
        """Close the file with the state."""
        self._saved.close()


def _receiver_names(root: Node | None) -> frozenset[str]:
    """Return the names in the section of receivers, which another part reads and checks."""
    section = root.value.get(_RECEIVERS) if root is not None and isinstance(root.value, dict) else None
    items = section.value if section is not None and isinstance(section.value, list) else ()
    names = [one.value["name"].value for one in items if isinstance(one.value, dict) and "name" in one.value]
    return frozenset(name for name in names if isinstance(name, str))
