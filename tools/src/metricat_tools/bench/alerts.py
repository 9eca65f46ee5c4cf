"""How well the alerts that guess do, on series of which it is known what is wrong with them, and when.

The rules are the shipped ones, to the letter: promtool works out what they record, pass by pass, and a real Prometheus
answers for the alerts. Beside them, on the same series, are what people use else: a fixed threshold, and for file
systems the warning of node-mixin (github.com/prometheus/node_exporter, docs/node-mixin: a straight line through the
last 6 hours reaches zero within 24 hours, and less than 40 % is free).
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
    """What became of what was wrong, and of the times that an alert fired."""

    found: int = 0
    missed: int = 0
    cried: int = 0
    """Wolf: fired where nothing was wrong."""
    right: int = 0
    hours: list[float] = field(default_factory=list)
    """Of each that was found, how many hours after its beginning, or before its end."""

    def __add__(self, other: "Score") -> "Score":
        """Both together."""
        return Score(
            self.found + other.found,
            self.missed + other.missed,
            self.cried + other.cried,
            self.right + other.right,
            self.hours + other.hours,
        )

    def cell(self) -> str:
        """Of one scenario: found of wrong and how soon, and how often it cried wolf."""
        soon = f" ({statistics.median(self.hours):.1f} h)" if self.hours else ""
        return f"{self.found}/{self.found + self.missed}{soon}, {self.cried}"

    def sum(self) -> str:
        """Precision and recall; a dash where nothing fired, or nothing was wrong."""
        return f"{_share(self.right, self.right + self.cried)}, {_share(self.found, self.found + self.missed)}"


@dataclass(frozen=True)
class Table:
    """Rules beside each other on the same scenarios.

    What is wrong is told in time until `grace` seconds after its end; `ahead` of its end if that is what counts, as it
    does for what will be full.
    """

    title: str
    replay: Replay
    rules: Mapping[str, AlertRule]
    grace: float
    ahead: bool = False

    def print(self) -> None:
        """Replay it, and print what each rule made of it."""
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
        told = set[Episode]()
        for begin, end in ((BEGIN + 3600 * first, BEGIN + 3600 * last) for first, last in scenario.wrong):
            right = [one for one in fired if one.start < end + self.grace and one.end > begin]
            told |= set(right)
            if right:
                first = max(begin, min(one.start for one in right))
                score += Score(found=1, hours=[(end - first if self.ahead else first - begin) / 3600])
            else:
                score += Score(missed=1)
        return score + Score(right=len(told), cried=len(fired) - len(told))


def bench() -> None:
    """Replay every scenario, and print what each alert made of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "target.yaml")
        file.write_text(yaml.safe_dump(history.TARGET))
        rules = {(rule.alert, rule.severity): rule for rule in read(file, STEP).rules}
    unusual = rules["NodeUnusual", "info"]
    daily = AlertRule("daily", "info", "abs(metricat:node_memory_usage:daily_deviation) > 3", unusual.timing)
    usage = {
        "NodeUnusual": unusual,
        "the days alone": daily,
        "85 % for 5 min": rules["NodeMemoryUsageHigh", "warning"],
    }
    full = {
        "NodeFilesystemFillsUp": rules["NodeFilesystemFillsUp", "warning"],
        "node-mixin, 24 h": AlertRule("mixin", "warning", _MIXIN, Timing(STEP, 3600)),
        "80 % for 30 min": rules["NodeFilesystemUsageHigh", "warning"],
    }
    memory, file_systems = "node_memory_(used|usage)", "node_(image_)?filesystem_"
    for table in (
        Table(
            "What is unusual, made up; in brackets, after how long",
            Replay(synthetic.MEMORY, history.MEMORY, synthetic.DAYS, memory),
            usage,
            grace=5400,
        ),
        Table(
            "What is unusual, recorded; in brackets, after how long",
            Replay(recorded.rides(), history.MEMORY, recorded.RIDES_DAYS, memory),
            usage,
            grace=5400,
        ),
        Table(
            "What will be full, made up; in brackets, how long before",
            Replay(synthetic.FILE_SYSTEMS, history.FILE_SYSTEM, synthetic.DAYS, file_systems),
            full,
            grace=0,
            ahead=True,
        ),
        Table(
            "What will be full, recorded",
            Replay(recorded.builds(), history.FILE_SYSTEM, recorded.BUILDS_DAYS, file_systems),
            full,
            grace=0,
            ahead=True,
        ),
    ):
        table.print()


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"
