"""A real Prometheus with a history of scenarios, and with the series that the shipped rules record from it."""

import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from metricat_cli.prometheus import PrometheusClient
from metricat_operator import naming
from metricat_tools.bench.synthetic import BEGIN, STEP, Scenario
from metricat_tools.binaries import ensure
from metricat_tools.errors import ToolError
from metricat_tools.generate import golden

TARGET = {
    "apiVersion": naming.API_VERSION,
    "kind": naming.KIND,
    "metadata": {"name": "nodes", "namespace": "monitoring"},
}
_BLOCK = "336h"
"""Time range of the blocks that promtool writes: many small blocks are slow to open."""
_PLACE = 'namespace="monitoring",service="metricat-nodes",pool="default"'
_MOUNT = 'device="/dev/sdb",mountpoint="/data",fstype="ext4"'

Family = tuple[str, str, Callable[[float], float]]
"""A metric, its own labels, and its value as a function of the used percentage."""

MEMORY: tuple[Family, ...] = (
    ("node_memory_MemTotal_bytes", "", lambda _: 100),
    ("node_memory_MemAvailable_bytes", "", lambda used: 100 - used),
)
FILESYSTEM: tuple[Family, ...] = (
    ("node_filesystem_size_bytes", _MOUNT, lambda _: 1000),
    ("node_filesystem_free_bytes", _MOUNT, lambda used: 1000 - 10 * used),
    ("node_filesystem_avail_bytes", _MOUNT, lambda used: 1000 - 10 * used),
    ("node_filesystem_readonly", _MOUNT, lambda _: 0),
)


@dataclass(frozen=True)
class Replay:
    """Scenarios as series of `families` over `days` days. `recorded` matches the names of the rules to record."""

    scenarios: Sequence[Scenario]
    families: tuple[Family, ...]
    days: int
    recorded: str

    @property
    def end(self) -> int:
        """The end of the replay, in seconds since 1970."""
        return BEGIN + self.days * 86400


@contextmanager
def replayed(replay: Replay) -> Iterator[PrometheusClient]:
    """Run a Prometheus with all series of the replay until the context ends."""
    with tempfile.TemporaryDirectory(prefix="metricat-history-") as name:
        folder = Path(name)
        _write(replay, folder)
        _record(replay, folder)
        with _prometheus(folder) as prometheus:
            yield prometheus


def _write(replay: Replay, folder: Path) -> None:
    instants = range(BEGIN, replay.end, STEP)
    samples: dict[str, list[str]] = {name: [f"# TYPE {name} gauge"] for name, _, _ in replay.families}
    for scenario in replay.scenarios:
        for node in scenario.nodes:
            noise = random.Random(node)
            used = [scenario.percent((at - BEGIN) / 3600, noise) for at in instants]
            for name, own, value in replay.families:
                labels = ",".join(filter(None, (_PLACE, f'node="{node}"', own)))
                samples[name] += [
                    f"{name}{{{labels}}} {value(percent):.4f} {at}" for at, percent in zip(instants, used, strict=True)
                ]
    text = "\n".join(line for lines in samples.values() for line in lines)
    (folder / "history").write_text(f"{text}\n# EOF\n")
    _blocks("openmetrics", str(folder / "history"), str(folder / "data"))


def _record(replay: Replay, folder: Path) -> None:
    """Evaluate the rules that read the agent's series, then the rules that read those results, and so on."""
    [manifest] = [one for one in golden.manifests({**TARGET, "spec": {}}) if one["kind"] == "PrometheusRule"]
    rules = [rule for group in manifest["spec"]["groups"] for rule in group["rules"] if "record" in rule]
    wanted = [rule for rule in rules if re.search(replay.recorded, rule["record"])]
    while wanted:
        later = [rule for rule in wanted if any(f"{one['record']}{{" in rule["expr"] for one in wanted)]
        now = [rule for rule in wanted if rule not in later]
        print(f"recording {', '.join(rule['record'] for rule in now)}", file=sys.stderr)
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "now", "rules": now}]}))
        with _prometheus(folder) as prometheus:
            times = [f"--start={BEGIN}", f"--end={replay.end}", f"--eval-interval={STEP}s"]
            where = [f"--url={prometheus.url}", f"--output-dir={folder / 'recorded'}"]
            _blocks("rules", *times, *where, str(folder / "rules.yaml"))
        for block in (folder / "recorded").iterdir():
            block.rename(folder / "data" / block.name)
        wanted = later


@contextmanager
def _prometheus(folder: Path) -> Iterator[PrometheusClient]:
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
            yield PrometheusClient(f"http://127.0.0.1:{port}")
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
    raise ToolError("Prometheus was not ready within a minute. Check whether the disk is full")


def _blocks(*arguments: str) -> None:
    command: list[str | Path] = [ensure("promtool")["promtool"], "tsdb", "create-blocks-from"]
    done = subprocess.run(
        [*command, f"--max-block-duration={_BLOCK}", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolError(f"promtool create-blocks-from {arguments[0]} failed: {done.stderr.strip()[-500:]}")
