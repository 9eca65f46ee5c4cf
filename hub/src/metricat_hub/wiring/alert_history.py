"""The alert history in the running hub: its database, maintenance and metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from metricat_hub.model.errors import HubError
from metricat_hub.store.alert_history import EventQueue, SqlHistory, open_sqlite
from metricat_hub.store.alert_history.history import BATCH
from metricat_hub.store.opening import require
from metricat_hub.use_cases.alert_history import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.config.settings import Settings
    from metricat_hub.model.self_metrics import Sample
    from metricat_hub.model.server import Server
    from metricat_hub.store.prometheus import PrometheusStore
    from metricat_hub.use_cases.rules import Rules

_LOG = logging.getLogger(__name__)
_REMOVALS = 20
"""The most batches of removed episodes in one run of maintenance."""
_EVALUATION = 300_000
"""The assumed longest evaluation of a group in milliseconds."""
_OBSERVED = "observed"
"""The name of the stored time until which the hub ran."""
_OVERLAP = 15 * 60_000
"""Milliseconds before the end of the last run from which alerts are read, because Alertmanager delays messages."""
_FIRST_FILL = 7 * 86_400_000
_LONGEST_FILL = 31 * 86_400_000


class AlertHistoryParts:
    """The alert history and its event queue."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        """Open the history: in PostgreSQL if that is the store, otherwise in the data directory.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self.rules: Rules | None = None
        """The rules whose alerts the history records."""
        self.prometheus: PrometheusStore | None = None
        """The server whose series `ALERTS` fill gaps in the history; None: the hub evaluates the rules."""
        self._observed: int | None = None
        """Until when the history is complete, in milliseconds; None: not determined since the start."""
        self._clock = clock
        self._problems: list[str] = []
        is_local = settings.store_url.kind != "postgresql"
        self.history = (
            open_sqlite(settings.data, settings.alert_history.retention) if is_local else _postgresql(settings)
        )
        self.log = EventQueue(self.history, is_direct=is_local)
        self._before: int | None = clock()
        """Episodes that began before this time may lack their end; None: no such episode."""
        self._dropped = 0
        self._alertmanager = settings.alert_history.alertmanager
        """The Alertmanager with whose alerts the history must still be compared; None: no comparison is due."""

    def maintain_alert_history(self) -> None:
        """Remove old episodes, and correct the history after lost events. Errors are reported by `problems`."""
        found = []
        for work in (self._maintain, self._fill, self._compare):
            try:
                work()
            except HubError as error:
                found.append(str(error))
        for problem in found:
            if problem not in self._problems:
                _LOG.error("%s", problem)
        self._problems = found

    def _maintain(self) -> None:
        if self.log.dropped != self._dropped:
            self._dropped = self.log.dropped
            self._before = self._clock() - _EVALUATION
        if self.rules and self._before is not None and self.log.wait_until_stored(0):
            reconcile(self.history, self.rules, self._before, self._clock())
            self._before = None
        for _ in range(_REMOVALS):
            if self.history.maintain(self._clock()) < BATCH:
                break

    def _fill(self) -> None:
        """After the start, record what Prometheus has recorded since the hub ran last."""
        if self.prometheus is None:
            return
        now = self._clock()
        if self._observed is None:
            last = self.history.number(_OBSERVED)
            start = now - _FIRST_FILL if last is None else max(last - _OVERLAP, now - _LONGEST_FILL)
            _fill(self.history, self.prometheus, start, now, with_firing=self._alertmanager is None)
        elif now - self._observed < _OVERLAP // 10:
            return
        self.history.set_number(_OBSERVED, now)
        self._observed = now

    def _compare(self) -> None:
        """After the start, record the alerts of the Alertmanager."""
        if self._alertmanager:
            _record_missed(self.history, self._alertmanager, self._clock())
            self._alertmanager = None

    def problems(self) -> Sequence[str]:
        """Return the problems of the history: waiting events, and a failed maintenance."""
        return [*self.log.problems(), *self._problems]

    def samples(self) -> Sequence[Sample]:
        """Return the metrics of the alert history."""
        return [*self.history.metrics(), *self.log.samples()]

    def close(self) -> None:
        """Store the waiting events, and close the history."""
        self.log.close()
        self.history.close()


def _fill(history: SqlHistory, prometheus: PrometheusStore, start: int, now: int, *, with_firing: bool) -> None:
    from metricat_hub.use_cases.alert_series import fill  # noqa: PLC0415 -- needed only after a start
    from metricat_hub.use_cases.prometheus_alerts import sent_alerts  # noqa: PLC0415 -- imports yaml

    sent = sent_alerts(prometheus.api)
    fill(history, prometheus, sent.labels, start, now, with_firing=with_firing)


def _record_missed(history: SqlHistory, server: Server, now: int) -> None:
    from metricat_hub.remote.http_client import Client  # noqa: PLC0415 -- imports ssl
    from metricat_hub.use_cases.missed_alerts import record_missed  # noqa: PLC0415 -- as above

    client = Client(server)
    try:
        record_missed(history, client, now)
    finally:
        client.close()


def _postgresql(settings: Settings) -> SqlHistory:
    require("psycopg", "postgresql", "--store.url=postgresql:")
    from metricat_hub.store.alert_history.postgresql import open_postgresql  # noqa: PLC0415 -- psycopg is optional

    return open_postgresql(settings.store_url.url, settings.alert_history.retention, settings.query.timeout)
