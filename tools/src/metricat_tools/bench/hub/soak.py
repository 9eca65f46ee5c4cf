"""The part `soak`: a simulated day of scrapes and queries, with new series and series that end.

Memory must not grow.
"""

from __future__ import annotations

import gc
import sys
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import psutil

from metricat_hub.model.samples import Batch
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.store.embedded import EmbeddedStore
from metricat_tools.bench.hub import data_set, pages
from metricat_tools.bench.hub.report import Figure

if TYPE_CHECKING:
    from pathlib import Path

_HOUR = 3_600_000
_SERIES, _STEP = 691, 10_000
_CHURNED = 20
"""Series of a node that get another label each hour, as those of pods do."""
_QUERIES = (
    'topk(5, 100 * (1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[1h]))))',
    "sum by (node) (rate(node_network_receive_bytes_total[5m]))",
    "max_over_time(node_load1[6h])",
)
_SETTLED = 6
"""Hours after which memory must not grow: the head and all caches have been full at least twice."""
_GROWTH = 1.1


def measure(folder: Path, nodes: int, hours: int) -> list[Figure]:
    """Return the memory of this process after the first hours and at the end."""
    page = pages.parse(pages.read(), _SERIES)
    random = np.random.default_rng(1)
    columns = np.array([pages.values(line, 3600, random) for line in page.lines]).T
    growth = np.array([columns[-1] - columns[0]]) * np.array([line.is_counter for line in page.lines])
    clock = data_set.END
    store = EmbeddedStore.open(folder, clock=lambda: clock)
    engine = Engine(Limits())
    queries = cycle(_QUERIES)
    resident: list[float] = []
    try:
        for hour in range(hours):
            numbers = [store.resolve(_labels(page, node, hour)) for node in range(nodes)]
            for at in range(_HOUR // _STEP):
                clock += _STEP
                rounds, row = divmod(hour * 360 + at, len(columns))
                values = columns[row] + rounds * growth[0]
                for own in numbers:
                    store.append(Batch(own, np.full(_SERIES, clock), values))
                if at % 6 == 0:
                    engine.instant(store, next(queries), clock)
                    store.maintain()
            gc.collect()
            resident.append(psutil.Process().memory_info().rss / 2**20)
            print(f"hour {hour + 1}: {resident[-1]:.0f} MiB", file=sys.stderr)
    finally:
        store.close()
    settled, last = max(resident[: min(_SETTLED, hours)]), max(resident[-3:])
    return [
        Figure(
            f"{hours} simulated hours of {nodes} nodes x {_SERIES} series: memory",
            f"{settled:.0f} MiB after {min(_SETTLED, hours)} h, {last:.0f} MiB at the end",
            goal=f"at most {_GROWTH:g} x",
            met=last <= _GROWTH * settled,
        )
    ]


def _labels(page: pages.Page, node: int, hour: int) -> list[tuple[tuple[str, str], ...]]:
    found = data_set.labels(page, node)
    return [
        *found[:-_CHURNED],
        *(tuple(sorted((*one, ("pod", f"pod-{hour}")))) for one in found[-_CHURNED:]),
    ]
