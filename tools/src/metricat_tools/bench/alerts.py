"""Benchmark of the predictive alerts, on series with known problems at known times.

The rules are exactly the shipped ones: promtool evaluates the recording rules, level by level, and a real Prometheus
evaluates the alerts. For comparison, the same series are evaluated with common alternatives: a fixed threshold, and for
filesystems also the warning of node-mixin (github.com/prometheus/node_exporter, docs/node-mixin). It fires if a
straight line through the last 6 hours reaches zero within 24 hours, and less than 40 % is free.
"""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from metricat_cli.backtest import AlertRule, firings, read
from metricat_cli.episodes import Episode, Timing
from metricat_cli.prometheus import PrometheusClient
from metricat_tools.bench import history, recorded, synthetic
from metricat_tools.bench.history import Replay, replayed
from metricat_tools.bench.synthetic import BEGIN, STEP, Scenario

_MIXIN = (
    "node_filesystem_avail_bytes / node_filesystem_size_bytes * 100 < 40 "
    "and predict_linear(node_filesystem_avail_bytes[6h], 24*60*60) < 0 and node_filesystem_readonly == 0"
)


@dataclass
class Score:
    """Counts of found and missed problems, and of true and false alerts."""

    found: int = 0
    missed: int = 0
    false_positives: int = 0
    """Times that the alert fired without a problem."""
    true_positives: int = 0
    hours: list[float] = field(default_factory=list)
    """For each found problem, the hours after its start or before its end."""

    def __add__(self, other: "Score") -> "Score":
        """Return the sum of these counts and the other counts."""
        return Score(
            self.found + other.found,
            self.missed + other.missed,
            self.false_positives + other.false_positives,
            self.true_positives + other.true_positives,
            self.hours + other.hours,
        )

    def cell(self) -> str:
        """Return a scenario's table cell: found problems of all, median hours, and false positives."""
        soon = f" ({statistics.median(self.hours):.1f} h)" if self.hours else ""
        return f"{self.found}/{self.found + self.missed}{soon}, {self.false_positives}"

    def sum(self) -> str:
        """Return precision and recall, with a dash if no alert fired or no problem existed."""
        precision = _share(self.true_positives, self.true_positives + self.false_positives)
        return f"{precision}, {_share(self.found, self.found + self.missed)}"


@dataclass(frozen=True)
class Table:
    """A comparison of rules on the same scenarios.

    An alert counts as true if it fires up to `grace` seconds after the problem's end. With `ahead`, the hours before
    the end count instead of those after the start, as for a filesystem that will be full.
    """

    title: str
    replay: Replay
    rules: Mapping[str, AlertRule]
    grace: float
    ahead: bool = False

    def print(self) -> None:
        """Replay the scenarios and print each rule's scores."""
        with replayed(self.replay) as prometheus:
            fired = {name: self._by_node(prometheus, rule) for name, rule in self.rules.items()}
        print(f"\n{self.title}\n\n| scenario | {' | '.join(self.rules)} |\n|{' --- |' * (len(self.rules) + 1)}")
        total = dict.fromkeys(self.rules, Score())
        for scenario in self.replay.scenarios:
            scores = {
                name: sum((self._judge(scenario, found.get(node, ())) for node in scenario.nodes), Score())
                for name, found in fired.items()
            }
            print(f"| {scenario.name} | {' | '.join(score.cell() for score in scores.values())} |")
            total = {name: total[name] + score for name, score in scores.items()}
        print(f"| **precision, recall** | {' | '.join(f'**{score.sum()}**' for score in total.values())} |")

    def _by_node(self, prometheus: PrometheusClient, rule: AlertRule) -> dict[str, list[Episode]]:
        found: dict[str, list[Episode]] = {}
        for firing in firings(prometheus, rule, BEGIN, self.replay.end):
            found.setdefault(firing.labels["node"], []).append(firing.episode)
        return found

    def _judge(self, scenario: Scenario, fired: Sequence[Episode]) -> Score:
        score = Score()
        true_episodes = set[Episode]()
        for begin, end in ((BEGIN + 3600 * first, BEGIN + 3600 * last) for first, last in scenario.problems):
            matching = [one for one in fired if one.start < end + self.grace and one.end > begin]
            true_episodes |= set(matching)
            if matching:
                first = max(begin, min(one.start for one in matching))
                score += Score(found=1, hours=[(end - first if self.ahead else first - begin) / 3600])
            else:
                score += Score(missed=1)
        return score + Score(true_positives=len(true_episodes), false_positives=len(fired) - len(true_episodes))


def bench() -> None:
    """Replay every scenario and print the scores of each alert."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "target.yaml")
        file.write_text(yaml.safe_dump(history.TARGET))
        rules = {(rule.alert, rule.severity): rule for rule in read(file, STEP).rules}
    unusual = rules["NodeUnusual", "info"]
    daily = AlertRule("daily", "info", "abs(metricat:node_memory_usage:daily_deviation) > 3", unusual.timing)
    usage = {
        "NodeUnusual": unusual,
        "daily baseline only": daily,
        "85 % for 5 min": rules["NodeMemoryUsageHigh", "warning"],
    }
    full = {
        "NodeFilesystemFillsUp": rules["NodeFilesystemFillsUp", "warning"],
        "node-mixin, 24 h": AlertRule("mixin", "warning", _MIXIN, Timing(STEP, 3600)),
        "80 % for 30 min": rules["NodeFilesystemUsageHigh", "warning"],
    }
    memory, filesystems = "node_memory_(used|usage)", "node_(image_)?filesystem_"
    for table in (
        Table(
            "Anomalies, synthetic series (in brackets: median hours until the alert)",
            Replay(synthetic.MEMORY, history.MEMORY, synthetic.DAYS, memory),
            usage,
            grace=5400,
        ),
        Table(
            "Anomalies, recorded series (in brackets: median hours until the alert)",
            Replay(recorded.taxi_scenarios(), history.MEMORY, recorded.RIDES_DAYS, memory),
            usage,
            grace=5400,
        ),
        Table(
            "Filesystems that will be full, synthetic series (in brackets: median hours before)",
            Replay(synthetic.FILESYSTEMS, history.FILESYSTEM, synthetic.DAYS, filesystems),
            full,
            grace=0,
            ahead=True,
        ),
        Table(
            "Filesystems that will be full, recorded series",
            Replay(recorded.build_machine_scenarios(), history.FILESYSTEM, recorded.BUILDS_DAYS, filesystems),
            full,
            grace=0,
            ahead=True,
        ),
    ):
        table.print()


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"
