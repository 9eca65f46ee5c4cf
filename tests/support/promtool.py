"""Tests of rules with the real promtool, on series that are functions of time."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from metricat_operator.api.alerts import AlertRules
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.groups import Scope, alert_group, baseline_group, recording_group
from metricat_rules.hub import HUB_ALERTS
from metricat_rules.operator import OPERATOR_ALERTS
from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    Values = Callable[[float], float | None]
    """The value of a series after a number of seconds. None means no sample."""

DAY = 24 * 60
"""A day in minutes."""


@cache
def promtool() -> Path:
    return ensure("promtool")["promtool"]


def rules(window_seconds: int = 60, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the rule file of a target."""
    scope = Scope("monitoring", "nodes", "metricat-nodes", window_seconds, {"team": "a"})
    chosen = AlertRules.model_validate(settings or {}).by_alert()
    return {
        "groups": [
            recording_group("recording", scope),
            baseline_group("baseline", scope),
            alert_group("alerts", scope, chosen, "https://r.example"),
        ]
    }


def only(alert: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """Return only the alert, the alerts in its expression, and their recording rules, to save evaluations."""
    rules = [rule for group in file["groups"] for rule in group["rules"]]
    texts = [rule["expr"] for rule in rules if rule.get("alert") == alert]
    alerts = {alert}.union(*(found.split("|") for text in texts for found in re.findall(r'alertname=~"(.*?)"', text)))
    texts = [rule["expr"] for rule in rules if rule.get("alert") in alerts]
    kept = set[str]()
    while texts:
        text = texts.pop()
        found = [rule for rule in rules if f"{rule.get('record')}{{" in text and rule["record"] not in kept]
        kept |= {rule["record"] for rule in found}
        texts += [rule["expr"] for rule in found]

    def wanted(rule: Mapping[str, Any]) -> bool:
        return rule.get("alert") in alerts or rule.get("record") in kept

    return _filtered(file, wanted)


def with_input(file: Mapping[str, Any], cases: Iterable[Case]) -> dict[str, Any]:
    """Return the alerts, and only the recording rules that can have a result in these cases, to save evaluations.

    A rule can have a result if its expression has a series of a case, the result of such a rule, or a function that
    needs no series.
    """
    words = {re.match(r"[\w:]+", name)[0] for case in cases for name in case.series}  # type: ignore[index] # has a name
    words |= {"absent", "absent_over_time", "vector", "time"}
    records = [rule for group in file["groups"] for rule in group["rules"] if "record" in rule]
    found = -1
    while len(words) != found:
        found = len(words)
        words |= {rule["record"] for rule in records if words.intersection(re.findall(r"[\w:]+", rule["expr"]))}
    return _filtered(file, lambda rule: "alert" in rule or rule["record"] in words)


def _filtered(file: Mapping[str, Any], wanted: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    groups = [{**group, "rules": list(filter(wanted, group["rules"]))} for group in file["groups"]]
    return {"groups": [group for group in groups if group["rules"]]}


def steady(value: float) -> Values:
    return lambda _: value


def rate(per_second: float) -> Values:
    return lambda at: per_second * at


def change(before: Values, minute: float, after: Values) -> Values:
    """Return `before` until the minute, and `after` from then on. A counter continues if `after` counts from zero."""
    return lambda at: before(at) if at < 60 * minute else after(at)


@dataclass(frozen=True)
class Case:
    """The severities of an alert that fire after a number of minutes, for these series.

    A series without the label `node` belongs to n1, one without `service` to the target. Series of other exporters
    (`kube_...`) stay unchanged.
    """

    what: str
    minutes: float
    fires: frozenset[str]
    series: Mapping[str, Values] = field(default_factory=dict)

    def test(self, alert: str, sample_seconds: int) -> dict[str, Any]:
        """Return the case in promtool's format."""
        count = int(self.minutes * 60 / sample_seconds) + 1
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        return {
            "name": self.what,
            "interval": f"{sample_seconds}s",
            "input_series": [
                {
                    "series": labelled(series),
                    "values": " ".join(_text(values(step * sample_seconds)) for step in range(count)),
                }
                for series, values in self.series.items()
            ],
            "promql_expr_test": [
                {
                    "expr": f"count by (severity) ({firing}) > bool 0 # {self.what}",
                    "eval_time": f"{int(self.minutes * 60)}s",
                    "exp_samples": [
                        {"labels": f'{{severity="{severity}"}}', "value": 1} for severity in sorted(self.fires)
                    ],
                },
                *(
                    {
                        "expr": f'ALERTS{{alertname="{alert}",alertstate="firing",{label}=""}} # {self.what}',
                        "eval_time": f"{int(self.minutes * 60)}s",
                    }
                    for label in named(alert)
                ),
            ],
        }


@cache
def named(alert: str) -> tuple[str, ...]:
    """Return the labels that the alert's texts use without checking that they exist."""
    [found] = [one for one in (*CATALOGUE, *OPERATOR_ALERTS, *HUB_ALERTS) if one.name == alert]
    texts = f"{found.summary} {found.description} {found.action} {found.resource}"
    if any(level.per_target for level in found.levels):
        return ()
    return tuple(sorted(set(re.findall(r"\$labels\.(\w+)", texts))))


def _text(value: float | None) -> str:
    return "_" if value is None else f"{value:.12g}"


def written(value: float | None) -> float | None:
    """Return a value as promtool reads it from the text of a case."""
    return None if value is None else float(_text(value))


def labelled(series: str) -> str:
    """Return the series as it is in Prometheus after relabelling."""
    name, _, own = series.rstrip("}").partition("{")
    if name.startswith("kube_"):
        return series
    place = 'namespace="monitoring"'
    if not re.search(r"\bpool=", own):
        place += ',pool="default"'
    if "service=" not in own:
        place += ',service="metricat-nodes"'
    if "node=" not in own:
        place += ',node="n1"'
    return f"{name}{{{place}{',' if own else ''}{own}}}"


def run(
    folder: Path,
    tests: list[dict[str, Any]],
    evaluation: str = "30s",
    of: Mapping[str, Any] | None = None,
    *,
    seconds: float = 300,
) -> str:
    """Return promtool's errors, or an empty string. `seconds` limits its time."""
    file = dict(of or rules())
    (folder / "rules.yaml").write_text(yaml.safe_dump(file))
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": evaluation,
        "group_eval_order": [group["name"] for group in file["groups"]],
        "tests": tests,
    }
    (folder / "tests.yaml").write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [promtool(), "test", "rules", "tests.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}promtool ended with {done.returncode}"
