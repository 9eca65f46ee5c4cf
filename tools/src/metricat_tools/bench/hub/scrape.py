"""The part `scrape`: the hub, Prometheus and VictoriaMetrics scrape the same targets at the same time."""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metricat_tools.bench.hub import machine, pages
from metricat_tools.bench.hub.programs import Server, announced, hub, prometheus, victoria_metrics
from metricat_tools.bench.hub.report import Figure

if TYPE_CHECKING:
    from pathlib import Path

SERIES = 691
_LEAST_RATE = 0.99
"""A measurement of few minutes can begin or end between two scrapes."""
_AGENTS = {"hub": "metricat-hub", "Prometheus": "prometheus", "VictoriaMetrics": "vm_promscrape"}


@dataclass
class _Use:
    """The resources that a program used per scraped sample, its missed scrapes, and the duration of its scrapes."""

    cpu: float
    per_second: float
    """Scraped samples."""
    missed: int
    duration: float
    """Seconds that 99 % of the targets do not exceed."""
    resident: float
    proportional: float


def measure(folder: Path, targets: int, interval: int, seconds: int) -> list[Figure]:
    """Return the figures of each program, for this number of targets; `interval` and `seconds` are in seconds."""
    pages.write(folder / "pages", pages.parse(pages.read(), SERIES), 60)
    with ExitStack() as stack:
        command = [sys.executable, "-m", pages.__name__, str(folder / "pages"), str(interval)]
        (folder / "server").mkdir()
        source = stack.enter_context(announced("server", command, folder / "server"))
        config = _config(source.url.removeprefix("http://"), targets, interval)
        servers = [
            stack.enter_context(hub(folder / "hub", config, "--no-rules.shipped")),
            stack.enter_context(prometheus(folder / "prometheus", config)),
            stack.enter_context(victoria_metrics(folder / "victoria-metrics", config)),
        ]
        time.sleep(2.5 * interval)
        used = _measured(source, servers, seconds)
    title = f"{targets:,} targets x {SERIES} series, every {interval} s"
    own, other = used["hub"], used["Prometheus"]

    def row(name: str, text: dict[str, str], goal: str, *, met: bool) -> Figure:
        return Figure(f"{title}: {name}", text["hub"], text["Prometheus"], text["VictoriaMetrics"], goal, met)

    cpu = {name: f"{one.cpu * 1e6:.2f} µs" for name, one in used.items()}
    cpu["hub"] += f" ({own.cpu / other.cpu:.2f} x Prometheus)"
    memory = {name: f"{one.resident:.0f} MiB ({one.proportional:.0f})" for name, one in used.items()}
    memory["hub"] += f", {own.resident / other.resident:.2f} x Prometheus"
    missed = {name: str(one.missed) for name, one in used.items()}
    rate = {name: f"{one.per_second:,.0f}" for name, one in used.items()}
    duration = {name: f"{one.duration * 1000:.0f} ms" for name, one in used.items()}
    scheduled = targets * SERIES / interval
    return [
        row("CPU per sample", cpu, "1.0 x Prometheus", met=own.cpu <= other.cpu),
        row("RSS (PSS)", memory, "1.5 x Prometheus", met=own.resident <= 1.5 * other.resident),
        row(f"missed scrapes in {seconds} s", missed, "0", met=own.missed == 0),
        row("scraped samples a second", rate, f"{scheduled:,.0f}", met=own.per_second >= _LEAST_RATE * scheduled),
        row("duration of a scrape, p99 of the targets", duration, f"{interval} s", met=own.duration < interval),
    ]


def _config(host: str, targets: int, interval: int) -> dict[str, Any]:
    groups = [
        {
            "targets": [host],
            "labels": {
                "node": f"node-{at}",
                "instance": f"10.0.{at // 250}.{at % 250}:9100",
                "namespace": "local",
                "service": "metricat",
                "pool": "default",
                "__param_i": str(at),
            },
        }
        for at in range(targets)
    ]
    jobs = [{"job_name": "metricat", "static_configs": groups}]
    return {"global": {"scrape_interval": f"{interval}s", "scrape_timeout": f"{interval}s"}, "scrape_configs": jobs}


def _measured(source: Server, servers: list[Server], seconds: int) -> dict[str, _Use]:
    first = _requests(source)
    cpu = {one.name: machine.cpu_seconds(one.pid) for one in servers}
    time.sleep(seconds)
    last = _requests(source)
    found = {}
    for one in servers:
        agent = _AGENTS[one.name]
        scrapes = last["scrapes"].get(agent, 0) - first["scrapes"].get(agent, 0)
        spent = machine.cpu_seconds(one.pid) - cpu[one.name]
        missed = last["missed"].get(agent, 0) - first["missed"].get(agent, 0)
        samples = scrapes * SERIES
        found[one.name] = _Use(
            spent / max(1, samples), samples / seconds, missed, _duration(one), *machine.memory(one.pid)
        )
    return found


def _duration(server: Server) -> float:
    """Return the 99th percentile of the durations of each target's newest scrape, in seconds."""
    query = urllib.parse.quote("quantile(0.99, scrape_duration_seconds)")
    return float(json.loads(server.get(f"/api/v1/query?query={query}"))["data"]["result"][0]["value"][1])


def _requests(source: Server) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(f"{source.url}/count", timeout=60) as response:
        return dict(json.load(response))
