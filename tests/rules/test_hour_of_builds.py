"""An hour of builds on a small machine sends no critical alert, and at most one warning.

Metricat's agent recorded the hour. The machine has 2 CPUs and was busy nearly all of the time: see
tests/fixtures/README.md and docs/alerts-quality.md.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from metricat_rules.inhibition import INHIBITIONS
from support.hub_rules import HubRules
from support.paths import FIXTURES
from support.promtool import Case, rules, with_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from metricat_rules.inhibition import Matcher
    from support.promtool import Values

    Labels = Mapping[str, str]

SAMPLE = 15
STEP = 60
"""Seconds between two evaluations."""
SENT = {"warning", "critical"}
"""The severities that a receiver gets by default."""


def recorded() -> dict[str, Values]:
    """Return the recorded series. A value that never changed is in the file once."""
    head, *lines = (FIXTURES / "builds.txt").read_text().splitlines()
    times = [int(word) for word in head.split()[2:]]

    def series(numbers: list[float]) -> Values:
        by_sample = {round(at / SAMPLE): numbers[place % len(numbers)] for place, at in enumerate(times)}
        return lambda at: by_sample.get(round(at / SAMPLE))

    found = {}
    for line in lines:
        name, *words = line.split(" ")
        found[name] = series([float(word) for word in words])
    return found


def matches(labels: Labels, matchers: Iterable[Matcher]) -> bool:
    for one in matchers:
        value, wanted = labels.get(one.name, ""), set(one.value.split("|"))
        if (value in wanted) != (one.match in {"=", "=~"}):
            return False
    return True


def inhibited(alert: Labels, firing: Iterable[Labels]) -> bool:
    """Return whether Alertmanager inhibits the alert, given all firing ones."""
    return any(
        matches(alert, rule.target)
        and matches(source, rule.source)
        and all(alert.get(name, "") == source.get(name, "") for name in rule.equal)
        for rule in INHIBITIONS
        for source in firing
        if source != alert
    )


def about(series: Iterable[str], file: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules without the alerts that read none of these series, to save evaluations."""
    words = {name.partition("{")[0] for name in series}
    words |= {rule["record"] for group in file["groups"] for rule in group["rules"] if "record" in rule}
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if words.intersection(re.findall(r"[\w:]+", rule["expr"]))]}
        for group in file["groups"]
    ]
    return {"groups": groups}


def episodes(folder: Path, settings: Mapping[str, object] | None = None) -> tuple[Counter[str], Counter[str]]:
    """Return how often each alert fired, and how often a receiver got it, by `name severity`."""
    series = recorded()
    case = Case("builds", 60, frozenset(), series)
    hub = HubRules(about(series, with_input(rules(60, settings), [case])), folder, STEP)
    hub.add(case, SAMPLE)
    fired, sent = Counter[str](), Counter[str]()
    before: tuple[list[dict[str, str]], list[dict[str, str]]] = ([], [])
    for at in range(0, 3600 + 1, STEP):
        firing = [dict(one.labels) for one in hub.evaluate(at) if one.state.phase == "firing"]
        firing = [one for one in firing if one["severity"] in SENT]
        open_ones = [one for one in firing if not inhibited(one, firing)]
        for counter, now, earlier in ((fired, firing, before[0]), (sent, open_ones, before[1])):
            counter.update(f"{one['alertname']} {one['severity']}" for one in now if one not in earlier)
        before = (firing, open_ones)
    assert not hub.errors
    return fired, sent


def test_an_hour_of_builds_sends_no_critical_and_at_most_one_warning(tmp_path: Path) -> None:
    fired, sent = episodes(tmp_path)
    sys.stdout.write(f"fired: {dict(fired)}; sent: {dict(sent)}\n")
    assert not [name for name in fired if name.endswith("critical")]
    assert sum(sent.values()) <= 1
    assert sum(fired.values()) > sum(sent.values()), "the hour is busy: one alert inhibits another"


def test_earlier_defaults_were_louder(tmp_path: Path) -> None:
    """Break the test above once: with the settings of the first version, it fails."""
    earlier = {
        "NodeCPUUsageHigh": {"warning": {"threshold": 80, "for": "5m"}, "critical": {"threshold": 95, "for": "1m"}},
        "NodePressureCPU": {"warning": {"threshold": 25, "for": "10m"}},
    }
    fired, sent = episodes(tmp_path, earlier)
    sys.stdout.write(f"fired: {dict(fired)}; sent: {dict(sent)}\n")
    assert fired["NodeCPUUsageHigh critical"] > 0
    assert sum(sent.values()) > 1
