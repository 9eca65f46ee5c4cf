"""The hub and Prometheus evaluate the same rules over hours of faults: the same alerts, in the same states, each time.

Prometheus has no simulated clock, but its promtool runs Prometheus' rule engine (`rules.Group.Eval`) on a TSDB. At
each evaluation, it compares `ALERTS` and `ALERTS_FOR_STATE` with those of the hub, which restarts several times.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.model.labels import NAME, from_mapping
from support.promtool import Case, rules, run, with_input
from support.stored_rules import START, StoredRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from metricat_hub.evaluation.evaluate import Alert
    from support.promtool import Values

SAMPLE, WINDOW = 30, 120
"""Seconds between samples, and the rate window."""
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\""})
NODES = ("n1", "n2", "n3")
SIZE = 1e9
OWN_RULES = {
    "name": "own",
    "rules": [
        {"record": "own:load:max", "expr": "max by (node) (node_load1)", "labels": {"unit": "processes"}},
        {
            "alert": "LoadKept",
            "expr": "own:load:max > 6",
            "for": "3m",
            "keep_firing_for": "7m",
            "labels": {"level": "{{ if gt $value 12.0 }}much{{ else }}some{{ end }}"},
        },
        {"alert": "NoSamples", "expr": "absent(node_load1{node='n2'})", "for": "2m"},
        {"alert": "Both", "expr": "count(ALERTS{alertname='LoadKept',alertstate='firing'}) >= 2"},
        {"alert": "Composite", "expr": "own:load:max > 6 unless on (node) own:load:max offset 10m > 6", "for": "1m"},
    ],
}


@dataclass
class Faults:
    """The faults of one node: spans of time in seconds by kind."""

    spans: Mapping[str, list[tuple[float, float]]]

    @classmethod
    def of(cls, source: random.Random, hours: float) -> Faults:
        """Return faults of every kind at random times."""

        def spans(a_day: float, shortest: float, longest: float) -> list[tuple[float, float]]:
            count = max(1, round(a_day * hours / 24 + source.uniform(0, 1)))
            starts = sorted(source.uniform(0, hours * 3600) for _ in range(count))
            return [(start, start + source.uniform(shortest, longest)) for start in starts]

        return cls(
            {
                "down": spans(5, 60, 1_500),
                "restart": spans(6, 30, 31),
                "cpu": spans(12, 60, 2_400),
                "memory": spans(10, 60, 2_400),
                "load": spans(14, 60, 2_400),
                "filesystem": spans(6, 600, 9_000),
                "readonly": spans(4, 60, 1_200),
                "clock": spans(4, 300, 2_400),
            }
        )

    def has(self, kind: str, at: float) -> bool:
        """Return whether a fault happens at a time."""
        return any(start <= at < end for start, end in self.spans[kind])

    def restarted(self, at: float) -> float:
        """Return the time of the last restart."""
        return max((start for start, _ in self.spans["restart"] if start <= at), default=0.0)


def series_of(node: str, faults: Faults, source: random.Random) -> Iterator[tuple[str, Values]]:
    """Yield the series of a node with its faults. A node without an agent has no series."""
    noise = [source.uniform(0, 1) for _ in range(997)]

    def jitter(at: float) -> float:
        return noise[int(at // SAMPLE) % len(noise)]

    busy: dict[float, float] = {}

    def cpu(at: float) -> float:
        """Return the seconds of use since the last restart."""
        if at not in busy:
            before = at - SAMPLE
            usage = 0.97 if faults.has("cpu", at) else 0.3 + 0.55 * jitter(at)
            is_first = before < 0 or faults.restarted(at) > before
            busy[at] = 0.0 if is_first else cpu(before) + SAMPLE * usage
        return busy[at]

    def idle(at: float) -> float:
        return at - faults.restarted(at) // SAMPLE * SAMPLE - cpu(at) + SAMPLE

    def used(at: float) -> float:
        return SIZE * ((0.91 if faults.has("filesystem", at) else 0.72) + 0.1 * jitter(at))

    place = f'node="{node}"'
    disk = f'{place},device="/dev/sda1",mountpoint="/",fstype="ext4"'
    values: dict[str, Values] = {
        f'node_cpu_seconds_total{{{place},cpu="0",mode="user"}}': cpu,
        f'node_cpu_seconds_total{{{place},cpu="0",mode="idle"}}': idle,
        f"node_load1{{{place}}}": lambda at: (5.0 + 10 * jitter(at)) if faults.has("load", at) else jitter(at),
        f"node_memory_MemTotal_bytes{{{place}}}": lambda _: SIZE,
        f"node_memory_MemAvailable_bytes{{{place}}}": lambda at: (
            SIZE * (0.03 + 0.1 * jitter(at) if faults.has("memory", at) else 0.5)
        ),
        f"node_filesystem_size_bytes{{{disk}}}": lambda _: SIZE,
        f"node_filesystem_avail_bytes{{{disk}}}": lambda at: SIZE - used(at),
        f"node_filesystem_free_bytes{{{disk}}}": lambda at: SIZE - used(at),
        f"node_filesystem_readonly{{{disk}}}": lambda at: float(faults.has("readonly", at)),
        f"node_timex_sync_status{{{place}}}": lambda at: float(not faults.has("clock", at)),
        f"node_timex_maxerror_seconds{{{place}}}": lambda at: 20.0 if faults.has("clock", at) else 0.1,
        f"node_boot_time_seconds{{{place}}}": lambda at: START + faults.restarted(at),
    }
    for name, value in values.items():
        yield name, while_up(faults, value)
    yield f'up{{job="agent",{place}}}', lambda at: float(not faults.has("down", at))


def while_up(faults: Faults, values: Values) -> Values:
    """Return the values without those of the time when the agent is down."""
    return lambda at: None if faults.has("down", at) else values(at)


def text(labels: Mapping[str, str]) -> str:
    """Return labels in Prometheus' notation."""
    own = ((name, value.translate(ESCAPED)) for name, value in from_mapping(labels) if name != NAME)
    inner = ",".join(f'{name}="{value}"' for name, value in own)
    return f"{labels[NAME]}{{{inner}}}"


def expected(alerts: list[Alert], at: int) -> list[dict[str, Any]]:
    """Return what promtool compares with its own evaluation at a time."""
    states = [({**dict(one.labels), NAME: "ALERTS", "alertstate": one.state.phase}, 1.0) for one in alerts]
    since = [({**dict(one.labels), NAME: "ALERTS_FOR_STATE"}, one.state.active // 1000) for one in alerts]
    return [
        {
            "eval_time": f"{at}s",
            "expr": name,
            "exp_samples": [{"labels": text(labels), "value": value} for labels, value in found],
        }
        for name, found in (("ALERTS", states), ("ALERTS_FOR_STATE", since))
    ]


def compared(seed: int, hours: float, restarts: int, folder: Path) -> tuple[str, set[tuple[str, str]]]:
    """Return what promtool finds different, and the alerts with their states that the hub had."""
    source = random.Random(seed)
    series = {name: values for node in NODES for name, values in series_of(node, Faults.of(source, hours), source)}
    case = Case("faults", hours * 60, frozenset(), series)
    shipped = rules(WINDOW)
    file = {"groups": [*with_input(shipped, [case])["groups"], OWN_RULES]}
    times = range(0, int(hours * 3600) + 1, SAMPLE)
    killed = set(source.sample(times, restarts))
    hub = StoredRules(file, folder, SAMPLE, case)
    tests: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for at in times:
        alerts = hub.evaluate(at)
        seen |= {(dict(one.labels)["alertname"], one.state.phase) for one in alerts}
        tests += expected(alerts, at)
        if at in killed:
            hub.restart()
    hub.close()
    assert not hub.errors
    test = {**case.test("NodeCPUUsageHigh", SAMPLE), "start_timestamp": START, "promql_expr_test": tests}
    return run(folder, [test], f"{SAMPLE}s", file, seconds=3_600), seen


def test_an_hour_of_faults(tmp_path: Path) -> None:
    different, seen = compared(1, 1, 4, tmp_path)
    assert different == ""
    assert {state for _, state in seen} == {"pending", "firing"}
    assert len({name for name, _ in seen}) >= 8


def test_a_difference_is_found(tmp_path: Path) -> None:
    """Break the comparison once: an alert that the hub does not have."""
    case = Case("up", 5, frozenset(), {"up": lambda _: 1.0})
    file = {"groups": [{"name": "own", "rules": [{"alert": "Up", "expr": "up == 1"}]}]}
    test = {**case.test("NodeCPUUsageHigh", SAMPLE), "promql_expr_test": expected([], 60)}
    assert "ALERTS" in run(tmp_path, [test], "60s", file)


@pytest.mark.slow
def test_a_day_of_faults(tmp_path: Path) -> None:
    different, seen = compared(2, 24, 24, tmp_path)
    assert different == ""
    assert len({name for name, _ in seen}) >= 12
