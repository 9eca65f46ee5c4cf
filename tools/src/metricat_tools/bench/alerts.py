"""How well the alerts that guess do, on series of which it is known what is wrong with them, and when.

The rules are the shipped ones, to the letter: promtool works out what they record, pass by pass, and a real Prometheus
answers for the alerts. Beside them, on the same series, are what people use else: a fixed threshold, and for file
systems the warning of node-mixin (github.com/prometheus/node_exporter, docs/node-mixin: a straight line through the
last 6 hours reaches zero within 24 hours, and less than 40 % is free).
"""

import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from metricat_cli.backtest import Rule, firings, read
from metricat_cli.episodes import Episode, Timing
from metricat_cli.prometheus import Prometheus
from metricat_operator import naming
from metricat_tools.bench.scenes import BEGIN, DAYS, FILE_SYSTEMS, MEMORY, STEP, Scene
from metricat_tools.errors import ToolError
from metricat_tools.generate import golden
from metricat_tools.programs import ensure

REPEATS = 5
"""Each scene is played so often, each time with other noise."""
GRACE = 5400
"""So many seconds after something went wrong an alert may still begin."""
_TARGET = {
    "apiVersion": naming.API_VERSION,
    "kind": naming.KIND,
    "metadata": {"name": "nodes", "namespace": "monitoring"},
}
_END = BEGIN + DAYS * 86400
_PLACE = 'namespace="monitoring",service="metricat-nodes",pool="default"'
_MOUNT = 'device="/dev/sdb",mountpoint="/data",fstype="ext4"'
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

    def __add__(self, other: "Score") -> "Score":
        """Both together."""
        return Score(
            self.found + other.found, self.missed + other.missed, self.cried + other.cried, self.right + other.right
        )

    def __str__(self) -> str:
        """Precision and recall; a dash where nothing fired, or nothing was wrong."""
        return f"{_share(self.right, self.right + self.cried)} {_share(self.found, self.found + self.missed)}"


def bench() -> None:
    """Play every scene, and print what each alert made of it."""
    with tempfile.TemporaryDirectory(prefix="metricat-alerts-") as name:
        folder = Path(name)
        (folder / "target.yaml").write_text(yaml.safe_dump(_TARGET))
        _write_history(folder)
        _record(folder)
        rules = {(rule.alert, rule.severity): rule for rule in read(folder / "target.yaml", STEP).rules}
        with _prometheus(folder) as prometheus:
            _table(
                prometheus,
                "What is unusual",
                MEMORY,
                {
                    "NodeUnusual": rules["NodeUnusual", "info"],
                    "85 % for 5 min": rules["NodeMemoryUsageHigh", "warning"],
                },
            )
            _table(
                prometheus,
                "What will be full",
                FILE_SYSTEMS,
                {
                    "NodeFilesystemFillsUp": rules["NodeFilesystemFillsUp", "warning"],
                    "node-mixin, 24 h": Rule("mixin", "warning", _MIXIN, Timing(STEP, 3600)),
                    "80 % for 30 min": rules["NodeFilesystemUsageHigh", "warning"],
                },
            )


def _table(prometheus: Prometheus, title: str, scenes: Sequence[Scene], rules: Mapping[str, Rule]) -> None:
    fired = {name: _by_node(prometheus, rule) for name, rule in rules.items()}
    width = max(len(scene.name) for scene in scenes)
    print(f"\n{title}: {REPEATS} nodes a scene; found/wrong, and how often it cried wolf")
    print(f"{'':{width}}  " + "  ".join(f"{name:>22}" for name in rules))
    total = {name: Score() for name in rules}
    for scene in scenes:
        cells = []
        for name in rules:
            score = sum((_judge(scene, fired[name].get(node, ())) for node in scene.nodes(REPEATS)), Score())
            total[name] += score
            cells.append(f"{score.found}/{score.found + score.missed}, {score.cried}")
        print(f"{scene.name:{width}}  " + "  ".join(f"{cell:>22}" for cell in cells))
    summed = "  ".join(f"{score!s:>22}" for score in total.values())
    print(f"{'precision, recall':{width}}  {summed}")


def _by_node(prometheus: Prometheus, rule: Rule) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = {}
    for firing in firings(prometheus, rule, BEGIN, _END):
        found.setdefault(firing.labels["node"], []).append(firing.episode)
    return found


def _judge(scene: Scene, fired: Sequence[Episode]) -> Score:
    wrong = [(BEGIN + 3600 * start, BEGIN + 3600 * end + GRACE) for start, end in scene.wrong]
    right = [one for one in fired if any(one.start < end and one.end > start for start, end in wrong)]
    found = [(start, end) for start, end in wrong if any(one.start < end and one.end > start for one in fired)]
    return Score(len(found), len(wrong) - len(found), len(fired) - len(right), len(right))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"


def _write_history(folder: Path) -> None:
    instants = range(BEGIN, _END, STEP)
    samples: dict[str, list[str]] = {}
    for scene in (*MEMORY, *FILE_SYSTEMS):
        for node in scene.nodes(REPEATS):
            noise = random.Random(node)
            used = [scene.percent((at - BEGIN) / 3600, noise) for at in instants]
            for name, labels, value in _families(scene, node):
                lines = samples.setdefault(name, [f"# TYPE {name} gauge"])
                lines += [
                    f"{name}{{{labels}}} {value(percent):.4f} {at}" for at, percent in zip(instants, used, strict=True)
                ]
    text = "\n".join(line for lines in samples.values() for line in lines)
    (folder / "history").write_text(f"{text}\n# EOF\n")
    _promtool("tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(folder / "data"))


def _families(scene: Scene, node: str) -> list[tuple[str, str, Callable[[float], float]]]:
    """The agent's series of such a node, each as a function of the percentage that is used."""
    place = f'{_PLACE},node="{node}"'
    if scene in MEMORY:
        return [
            ("node_memory_MemTotal_bytes", place, lambda _: 100),
            ("node_memory_MemAvailable_bytes", place, lambda used: 100 - used),
        ]
    mount = f"{place},{_MOUNT}"
    return [
        ("node_filesystem_size_bytes", mount, lambda _: 1000),
        ("node_filesystem_free_bytes", mount, lambda used: 1000 - 10 * used),
        ("node_filesystem_avail_bytes", mount, lambda used: 1000 - 10 * used),
        ("node_filesystem_readonly", mount, lambda _: 0),
    ]


def _record(folder: Path) -> None:
    """What the shipped rules record of it: first those that read the agent's series, then those that read these."""
    [manifest] = [one for one in golden.manifests({**_TARGET, "spec": {}}) if one["kind"] == "PrometheusRule"]
    rules = [rule for group in manifest["spec"]["groups"] for rule in group["rules"] if "record" in rule]
    wanted = [rule for rule in rules if re.search("node_(memory|filesystem)_", rule["record"])]
    while wanted:
        later = [rule for rule in wanted if any(f"{one['record']}{{" in rule["expr"] for one in wanted)]
        now = [rule for rule in wanted if rule not in later]
        print(f"recording {', '.join(rule['record'] for rule in now)}", file=sys.stderr)
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "now", "rules": now}]}))
        with _prometheus(folder) as prometheus:
            times = [f"--start={BEGIN}", f"--end={_END}", f"--eval-interval={STEP}s"]
            where = [f"--url={prometheus.url}", f"--output-dir={folder / 'recorded'}"]
            _promtool("tsdb", "create-blocks-from", "rules", *times, *where, str(folder / "rules.yaml"))
        for block in (folder / "recorded").iterdir():
            block.rename(folder / "data" / block.name)
        wanted = later


@contextmanager
def _prometheus(folder: Path) -> Iterator[Prometheus]:
    """One over the history, for as long as the context lasts."""
    (folder / "config.yaml").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    settings = {
        "config.file": folder / "config.yaml",
        "storage.tsdb.path": folder / "data",
        "storage.tsdb.retention.time": "10y",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    command: list[str | Path] = [
        ensure("prometheus")["prometheus"],
        *(f"--{name}={value}" for name, value in settings.items()),
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            _await(f"http://127.0.0.1:{port}/-/ready")
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            running.terminate()


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.2)
        else:
            return
    raise ToolError("Prometheus did not become ready within a minute; is the disk full?")


def _promtool(*arguments: str) -> None:
    done = subprocess.run([ensure("promtool")["promtool"], *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"promtool {' '.join(arguments[:3])} failed: {done.stderr.strip()[-500:]}")
