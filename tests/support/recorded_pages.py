"""40 minutes of samples of two nodes, made from a recorded page of the agent, and the queries that use them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME, from_mapping
from support.paths import CHART, FIXTURES

if TYPE_CHECKING:
    from metricat_hub.model.labels import Labels

    Samples = dict[Labels, list[tuple[int, float]]]

MINUTE = 60_000


def _page() -> list[tuple[dict[str, str], float]]:
    """Return labels and value of each sample on the recorded page of the agent."""
    found = []
    for line in (FIXTURES / "host.prom").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
        assert match, line
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
        found.append(({NAME: match[1], **dict(pairs)}, float(match[3])))
    return found


def recorded(start: int) -> Samples:
    """Return 40 minutes of two nodes: counters grow with resets, gauges move, one node disappears for a while."""
    random = np.random.default_rng(7)
    times = np.arange(start, start + 40 * MINUTE, 15_000)
    samples: Samples = {}
    common = {
        "namespace": "monitoring",
        "service": "metricat-nodes",
        "pool": "default",
        "job": "metricat",
        "cluster": "",
    }
    for node in ("one", "two"):
        present = times[(times < start + 20 * MINUTE) | (times > start + 24 * MINUTE)] if node == "two" else times
        for labels, value in [*_page(), ({NAME: "up"}, 1.0)]:
            key = from_mapping({**labels, **common, "node": node, "instance": f"{node}:9100"})
            name = labels[NAME]
            if name.endswith(("_total", "_count", "_sum", "_bucket")):
                steps = np.abs(random.normal(size=len(present))) * (value / 500 + 1)
                values = value + np.cumsum(steps)
                values[len(values) // 2 :] -= values[len(values) // 2] if random.random() < 0.1 else 0
            elif name.endswith(("_info", "up", "_size_bytes", "_seconds")):
                values = np.full(len(present), value)
            else:
                values = value * (1 + 0.2 * random.normal(size=len(present)))
            samples[key] = list(zip(present.tolist(), values.tolist(), strict=True))
    return samples


def dashboard_queries() -> list[str]:
    """Return the queries of all panels, with the variables set."""
    found: set[str] = set()

    def collect(part: object) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("expr"), str):
                found.add(part["expr"])
            for child in part.values():
                collect(child)
        elif isinstance(part, list):
            for child in part:
                collect(child)

    for path in sorted((CHART / "dashboards").glob("*.json")):
        collect(json.loads(path.read_text()))
    variables = {"$__rate_interval": "1m", "$__range": "30m", "$cluster": ".*", "$target": ".*", "$node": ".*"}
    queries = []
    for expression in sorted(found):
        query = expression
        for name, value in variables.items():
            query = query.replace(name, value)
        assert "$" not in query, query
        queries.append(query)
    return queries
