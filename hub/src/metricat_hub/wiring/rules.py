"""The evaluation of rules in the running hub: loads rule files, schedules evaluations, and exposes metrics."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metricat_agent.config.yaml_text import Node, YamlError, read_file
from metricat_hub.config.options import MEASURE_NAMES
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.evaluate import Surroundings
from metricat_hub.evaluation.shipped import shipped_groups
from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import NAME, from_mapping
from metricat_hub.model.samples import Batch
from metricat_hub.model.self_metrics import Sample
from metricat_hub.store.alert_states import AlertStates
from metricat_hub.store.rule_versions import RuleVersions
from metricat_hub.use_cases.alert_rules import AlertRules
from metricat_hub.use_cases.metric_names import rate_window
from metricat_hub.use_cases.rules import Rules
from metricat_hub.wiring.alert_history import AlertHistoryParts
from metricat_hub.wiring.repeated_work import repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from metricat_hub.config.settings import Settings
    from metricat_hub.evaluation.rules import Group
    from metricat_hub.model.ports import Writer
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.use_cases.rules import GroupStatus

_LOG = logging.getLogger(__name__)
_RELOAD_SECONDS = 5.0
_MOST_SLEEP_SECONDS = 1.0
_STORES = ("embedded", "postgresql")
"""The kinds of stores for which the hub evaluates rules. For other kinds, the server of the store evaluates them."""
_Stamp = tuple[tuple[str, int, int], ...]


class RuleParts:
    """The opened rules of the hub."""

    def __init__(self, settings: Settings, queries: QueryEngine, writer: Writer, clock: Callable[[], int]) -> None:
        """Open the history of alerts and the saved states, and read the rule files.

        Raises:
            ConfigFileError: a rule file is not valid, or a pattern without * matches no file.
            StoreUnavailableError: the saved states cannot be read.
        """
        self._settings = settings
        self._writer = writer
        self._clock = clock
        with contextlib.ExitStack() as opened:
            self.history = opened.enter_context(contextlib.closing(AlertHistoryParts(settings, clock)))
            self._states = opened.enter_context(contextlib.closing(AlertStates(settings.data)))
            self._versions = opened.enter_context(contextlib.closing(RuleVersions(settings.data)))
            self._opened = opened.pop_all()
        self._problem = ""
        self._rejected: Sequence[str] = ()
        self._changes = 0
        self.rules = Rules(queries, writer, self._states, Surroundings(), settings.query.timeout / 1000)
        self.rules.log = self.history.log
        self.history.rules = self.rules
        self._alert_rules = AlertRules(
            self.rules,
            self._versions,
            queries,
            clock,
            scrape_interval=settings.interval,
            interval=settings.rules.interval,
            is_shipped=settings.rules.shipped,
            changed=self._count_change,
        )
        self.alert_rules = self._alert_rules if self._evaluates else None
        """The rules that clients can change; None: another server evaluates rules."""
        try:
            self._stamp = self._current_stamp()
            self.rules.load(self._groups(), clock())
        except HubError:
            self.close()
            raise

    @property
    def _evaluates(self) -> bool:
        return self._settings.store_url.kind in _STORES

    def _count_change(self) -> None:
        """Make the evaluation load the rules before its next round."""
        self._changes += 1

    def problems(self) -> Sequence[str]:
        """Return the current problems of rules, each with a remedy."""
        failing = [
            f"rule {rule.rule.name} of group {status.group.name} fails: {rule.error}"
            for status in self.rules.groups()
            for rule in status.rules
            if rule.error
        ]
        found = [*([self._problem] if self._problem else []), *self._rejected, *failing[:10]]
        return [*found, *self.history.problems()]

    async def run(self) -> None:
        """Evaluate each group at its interval until canceled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "rules") as thread:
            due: dict[tuple[str, str], int] = {}
            reload_at = loop.time() + _RELOAD_SECONDS
            changes = self._changes
            store_at = loop.time() + self._settings.rules.interval / 1000
            while True:
                if loop.time() >= store_at and self._evaluates:
                    await loop.run_in_executor(thread, self._store_samples, self._clock())
                    store_at += self._settings.rules.interval / 1000
                if loop.time() >= reload_at or changes != self._changes:
                    changes = self._changes
                    await loop.run_in_executor(thread, self._reload)
                    reload_at = loop.time() + _RELOAD_SECONDS
                groups = [status.group for status in self.rules.groups()]
                now = self._clock()
                due = {_key(one): due.get(_key(one)) or _next(one, now) for one in groups}
                for group in sorted(groups, key=lambda one: due[_key(one)]):
                    if due[_key(group)] <= now:
                        slot = _slot(group, now)
                        self.rules.counts.miss(group, (slot - due[_key(group)]) // group.interval)
                        due[_key(group)] = slot + group.interval
                        await loop.run_in_executor(thread, self.rules.evaluate, group, slot)
                wait = (min(due.values(), default=now + 1000) - self._clock()) / 1000
                await asyncio.sleep(min(max(wait, 0.0), _MOST_SLEEP_SECONDS))

    @repeated
    def _reload(self) -> None:
        """Read the rule files again if they have changed. Invalid files change nothing."""
        stamp = self._current_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.rules.load(self._groups(), self._clock())
        except HubError as error:
            self._problem = f"the hub keeps the previous rules: {error}"
            _LOG.error("%s", self._problem)
            return
        self._problem = ""
        _LOG.info("rules: loaded %d groups", len(self.rules.groups()))

    def _groups(self) -> list[Group]:
        settings = self._settings.rules
        if not self._evaluates:
            return []
        own, self._rejected = self._alert_rules.groups()
        overrides = self._alert_rules.overrides()
        groups = shipped_groups(self._settings.interval, settings.interval, overrides) if settings.shipped else []
        window = rate_window(self._settings.interval)
        for path in self._paths():
            try:
                root = read_file(path)
            except YamlError as error:
                raise ConfigFileError(f"{path}: {error}") from None
            if path == self._settings.config_file:
                root = _rules_of_settings(root)
            groups += rule_file.parse(root, path, settings.interval, window)
        return [*groups, *own]

    def _paths(self) -> list[str]:
        """Return the rule files, and the settings file, which may have thresholds."""
        given = [self._settings.config_file] if self._settings.config_file else []
        return [*given, *(one for one in _files(self._settings.rules.files) if one not in given)]

    def _current_stamp(self) -> _Stamp:
        found: list[tuple[str, int, int]] = [("", self._changes, 0)]
        for path in self._paths():
            try:
                state = Path(path).stat()
            except OSError:
                continue
            found.append((path, state.st_mtime_ns, state.st_size))
        return tuple(found)

    def samples(self) -> Sequence[Sample]:
        """Return the hub's own metrics about rules."""
        counts = self.rules.counts
        groups = self.rules.groups()
        found = [
            Sample(f"metricat_hub_rule_{name}", text, value, is_counter=True)
            for name, text, value in (
                ("evaluations", "Evaluations of rules.", counts.evaluations),
                ("evaluation_failures", "Failed evaluations of rules.", counts.failures),
                (
                    "missed_evaluations",
                    "Skipped evaluations of groups, because other evaluations took too long.",
                    counts.missed,
                ),
                ("rejected_samples", "Rejected samples of rules.", counts.rejected_samples),
            )
        ]
        for status in groups:
            found += self._samples_of(status)
        text = "Alerts by state."
        alerts = [one.state.phase for status in groups for rule in status.rules for one in rule.state.alerts.values()]
        return [
            *found,
            *(
                Sample("metricat_hub_alerts", text, alerts.count(phase), labels={"state": phase})
                for phase in ("pending", "firing")
            ),
            *self.history.samples(),
        ]

    def _samples_of(self, status: GroupStatus) -> Iterator[Sample]:
        group, counts = status.group, self.rules.counts.of(status.group)
        labels = {"group": group.name, "file": group.file}
        for name, text, value in (
            ("last_duration_seconds", "Duration of the last evaluation of a group, in seconds.", status.seconds),
            ("interval_seconds", "Interval of a group, in seconds.", group.interval / 1000),
        ):
            yield Sample(f"metricat_hub_rule_group_{name}", text, value, labels=labels)
        for name, text, value in (
            ("evaluation_failures", "Failed evaluations of the rules of a group.", counts.failures),
            ("missed_evaluations", "Skipped evaluations of a group.", counts.missed),
        ):
            yield Sample(f"metricat_hub_rule_group_{name}", text, value, labels=labels, is_counter=True)

    @repeated
    def _store_samples(self, now: int) -> None:
        """Store the metrics about rules, which the alerts about evaluation read."""
        samples = self.samples()
        suffix = {True: "_total", False: ""}
        own = {"namespace": "local", "service": "metricat-hub", "node": self._settings.server_id}
        labels = [from_mapping({**own, **one.labels, NAME: f"{one.name}{suffix[one.is_counter]}"}) for one in samples]
        try:
            numbers = self._writer.resolve(labels)
            accepted = numbers >= 0
            values = np.array([float(one.value) for one in samples])
            times = np.full(int(accepted.sum()), now, dtype=np.int64)
            self._writer.append(Batch(numbers[accepted], times, values[accepted]))
        except HubError as error:
            _LOG.debug("the metrics about rules cannot be stored: %s", error)

    def close(self) -> None:
        """Close the alert history, the stored states and the versions of rules."""
        self._opened.close()


def _files(patterns: Iterable[str]) -> list[str]:
    """Return the files that match a pattern, each once. A path without * is a file even if it does not exist."""
    found: dict[str, None] = {}
    for pattern in patterns:
        matched = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 -- absolute patterns too
        found.update(dict.fromkeys(matched))
    return list(found)


def _rules_of_settings(root: Node | None) -> Node | None:
    """Return the thresholds of the settings file in the form of a rule file."""
    rules = root.value.get("rules") if root and isinstance(root.value, dict) else None
    if rules is None or not isinstance(rules.value, dict):
        return None
    thresholds = {name: value for name, value in rules.value.items() if name in MEASURE_NAMES}
    return Node({"rules": Node(thresholds, rules.line, "map")}, rules.line, "map") if thresholds else None


def _key(group: Group) -> tuple[str, str]:
    return group.file, group.name


def _next(group: Group, now: int) -> int:
    """Return the first time of an evaluation at or after now."""
    slot = _slot(group, now)
    return slot if slot == now else slot + group.interval


def _slot(group: Group, now: int) -> int:
    """Return the last time of an evaluation until now. Groups are spread over the interval by their names."""
    digest = hashlib.blake2b(f"{group.file};{group.name}".encode(), digest_size=8).digest()
    offset = int.from_bytes(digest, "big") % group.interval
    return now - (now - offset) % group.interval
