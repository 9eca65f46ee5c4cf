"""Metrics about the collectors: success, duration, failures.

Every series costs CPU time, and storage in Prometheus. So by default a scrape has only the series that alerts and
dashboards need. See docs/design/0015-what-a-scrape-costs.md.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from metricat_agent.exposition.model import Metrics, Sample, counter, gauge
from metricat_agent.host.skips import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DURATION = gauge(
    "node_scrape_collector_duration_seconds",
    "Duration of a collector's scrape, in seconds. By default, only of the ten slowest collectors.",
    "collector",
)
SUCCESS = gauge(
    "node_scrape_collector_success",
    "1 if a collector succeeded, 0 if it failed. By default, absent until it returns a series or fails.",
    "collector",
)
ERRORS = counter(
    "metricat_collector_errors_total",
    "Number of scrapes at which a collector failed. By default, absent until it fails.",
    "collector",
)
LAST_SUCCESS = gauge(
    "metricat_collector_last_success_timestamp_seconds",
    "Time of a collector's last success, in seconds since 1970 (UTC). By default, absent while it succeeds.",
    "collector",
)
SERIES = gauge(
    "metricat_collector_series",
    "Number of series that a collector exposed at this scrape. Only with --agent.detailed-metrics.",
    "collector",
)
DROPPED = counter(
    "metricat_collector_dropped_series_total",
    "Series dropped because a collector exceeded --collector.series-limit, summed over scrapes; absent if none was.",
    "collector",
)
SKIPPED = counter(
    "metricat_collector_skipped_total",
    "Files and other parts of the host that a collector left out, by reason, summed over scrapes; absent if none was.",
    "collector",
    "reason",
)
FAMILIES = (DURATION, SUCCESS, ERRORS, LAST_SUCCESS, SERIES, DROPPED, SKIPPED)
_LOG = logging.getLogger(__name__)
_NAMED_AT_ONCE = 5
_MOST_NAMED = 200
"""Number of different parts left out by a collector after which the log names no further ones."""
_SLOWEST = 10
"""Number of collectors with a duration by default: as many as the dashboard shows."""
_SMOOTHING = 0.1
"""Weight of the last duration in the mean that selects the slowest collectors, so that their series do not flap."""
_ADVANTAGE = 1.5
"""Factor by which a collector must be slower than one of the slowest to replace it, for the same reason."""
_MICROSECOND = 6
"""Digits of a duration after the point: more would be noise of the clock."""


class CollectorState:
    """The outcomes of one collector so far."""

    def __init__(self, name: str) -> None:
        self.labels = (name,)
        self.success: Sample = (self.labels, 1)
        """The sample of `SUCCESS`."""
        self.is_unusual = False
        """Whether the collector has ever failed, left out a part or dropped series."""
        self.seconds = 0.0
        self.mean_seconds = 0.0
        self.is_among_slowest = False
        self.series = 0
        self.errors = 0
        self.dropped = 0
        self._drops = False
        self.last_success: float | None = None
        self.why: str | None = None
        """Why the last scrape failed; None if it succeeded."""
        self.has_appeared = False
        """Whether the collector has returned a series or failed."""
        self.skipped: dict[str, int] = {}
        """Number of parts left out so far, by reason."""
        self._skipped_parts: set[tuple[str, str]] = set()

    def record(self, now: float, seconds: float, series: int, why: str | None) -> None:
        """Record a success (``why`` is None) or the reason ``why`` of a failure; log a change.

        ``now`` is in seconds since 1970 (UTC); ``seconds`` is the duration.
        """
        self.seconds = seconds
        self.mean_seconds += (seconds - self.mean_seconds) * _SMOOTHING
        self.series = series
        if why is None:
            self.last_success = now
            if series:
                self.has_appeared = True
            if self.why is not None:
                _LOG.warning("collector %s works again", *self.labels)
                self.success = self.labels, 1
        else:
            self.has_appeared = self.is_unusual = True
            self.errors += 1
            self.success = self.labels, 0
            if self.why != why:
                _LOG.warning("collector %s fails: %s", *self.labels, why)
        self.why = why

    def record_dropped(self, dropped: int, kept: int) -> None:
        """Count the series above the limit; log when dropping begins and ends."""
        self.dropped += dropped
        if bool(dropped) == self._drops:
            return
        self._drops = bool(dropped)
        self.is_unusual = True
        if dropped:
            _LOG.warning(
                "collector %s: dropped %d of %d series, which exceed --collector.series-limit. "
                "Exclude devices, or raise the limit",
                *(*self.labels, dropped, kept + dropped),
            )
        else:
            _LOG.warning("collector %s is within --collector.series-limit again", *self.labels)

    def record_skips(self, found: Mapping[tuple[str, str], str]) -> None:
        """Count the parts that the collector left out. Log the first parts that were not left out before."""
        self._count([reason for reason, _ in found])
        self._log_new(found)

    def record_duplicates(self, series: Mapping[str, int]) -> None:
        """Count the series that the response has already or whose name is taken. Log the names of the families once."""
        self._count(["duplicate"], sum(series.values()))
        self._log_new({("duplicate", name): f"{number} series" for name, number in series.items()})

    def _count(self, reasons: Iterable[str], number: int = 1) -> None:
        self.is_unusual = True
        skipped = dict(self.skipped)
        for reason in reasons:
            skipped[reason] = skipped.get(reason, 0) + number
        self.skipped = skipped  # a scrape that does not wait for this collector reads it at the same time

    def _log_new(self, found: Mapping[tuple[str, str], str]) -> None:
        new = [key for key in found if key not in self._skipped_parts]
        if not new or len(self._skipped_parts) >= _MOST_NAMED:
            return
        self._skipped_parts.update(new)
        for reason in {reason for reason, _ in new}:
            named = [f"{part} ({found[reason, part]})" for why, part in new if why == reason]
            more = f" and {len(named) - _NAMED_AT_ONCE} more" if len(named) > _NAMED_AT_ONCE else ""
            level = logging.DEBUG if reason in EXPECTED else logging.WARNING
            _LOG.log(
                *(level, "collector %s omits data (reason: %s): %s%s"),
                *(*self.labels, reason, ", ".join(named[:_NAMED_AT_ONCE]), more),
            )


def collector_metrics(states: Sequence[CollectorState], *, shows_all: bool, detailed: bool) -> Metrics:
    """Return the metrics about the collectors of a scrape.

    ``shows_all`` adds collectors that have not returned a series yet, and all durations. ``detailed`` adds to that the
    numbers of series, error counters that are 0, and the time of each collector's last success.
    """
    shows_all = shows_all or detailed
    shown = states if shows_all else [state for state in states if state.has_appeared]
    timed = shown if shows_all else _slowest(shown)
    unusual = [state for state in states if state.is_unusual]
    counted = shown if detailed else [state for state in unusual if state.errors]
    dated = shown if detailed else [state for state in unusual if state.why is not None]
    return [
        (DURATION, [(state.labels, round(state.seconds, _MICROSECOND)) for state in timed]),
        (SUCCESS, [state.success for state in shown]),
        (ERRORS, [(state.labels, state.errors) for state in counted]),
        (LAST_SUCCESS, [(state.labels, state.last_success) for state in dated if state.last_success is not None]),
        (SERIES, [(state.labels, state.series) for state in shown] if detailed else []),
        (DROPPED, [(state.labels, state.dropped) for state in unusual if state.dropped]),
        (SKIPPED, [((*state.labels, reason), number) for state in unusual for reason, number in state.skipped.items()]),
    ]


def _slowest(shown: Sequence[CollectorState]) -> Sequence[CollectorState]:
    """Return the slowest collectors in their order; note in each state whether it is one of them."""
    if len(shown) <= _SLOWEST:
        return shown
    ranks = [state.mean_seconds * (_ADVANTAGE if state.is_among_slowest else 1) for state in shown]
    limit = sorted(ranks)[-_SLOWEST]
    timed = []
    for state, rank in zip(shown, ranks, strict=True):
        state.is_among_slowest = rank >= limit
        if rank >= limit:
            timed.append(state)
    return timed
