"""The part `files`: bytes of a sample in the files of the three programs, with the index of series.

The samples are the recorded ones of `bench store`. Each repetition of the recording has its changes in another order.
"""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

from metricat_hub.store.embedded import EmbeddedStore, exchange
from metricat_hub.store.embedded.database import FILE
from metricat_tools.bench import recorded_nodes
from metricat_tools.bench.hub.machine import file_bytes
from metricat_tools.bench.hub.programs import victoria_metrics
from metricat_tools.bench.hub.report import Figure
from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINES = 200_000


def measure(folder: Path, hours: int) -> list[Figure]:
    """Return the bytes per sample after `hours` simulated hours of one node, for each program."""
    clock = recorded_nodes.Clock()
    store = EmbeddedStore.open(folder / "hub", clock=clock)
    try:
        nodes = recorded_nodes.RecordedNodes(store, clock, 1, shuffled=True)
        samples = sum(nodes.scrape() for _ in range(hours * 360))
        clock.now += 4_000_000
        store.maintain(pack_all=True)
        text = folder / "samples.txt"
        with text.open("w") as file:
            file.writelines(f"{line}\n" for line in exchange.export(store.iterate([], 0, clock.now), "openmetrics"))
    finally:
        store.close()
    hub = _hub_bytes(folder / "hub" / FILE) / samples
    prometheus = _prometheus_bytes(folder, text) / samples
    victoria = _victoria_metrics_bytes(folder, text) / samples
    return [
        Figure(
            f"bytes of a sample in files, {samples:,} samples of {nodes.series} series",
            f"{hub:.2f} ({hub / prometheus:.2f} x Prometheus, {hub / victoria:.2f} x VictoriaMetrics)",
            f"{prometheus:.2f}",
            f"{victoria:.2f}",
            "0.5 x Prometheus, 1.2 x VictoriaMetrics",
            hub <= 0.5 * prometheus and hub <= 1.2 * victoria,
        )
    ]


def _hub_bytes(file: Path) -> int:
    sizes = recorded_nodes.table_bytes(file)
    return sizes["chunks_raw"] + sizes["times"] + sizes["series"]


def _prometheus_bytes(folder: Path, text: Path) -> int:
    blocks = folder / "blocks"
    promtool = ensure("promtool")["promtool"]
    command: list[str | Path] = [promtool, "tsdb", "create-blocks-from", "openmetrics", text, blocks]
    subprocess.run(command, check=True, capture_output=True)
    return sum(path.stat().st_size for name in ("chunks/*", "index") for path in blocks.rglob(name))


def _victoria_metrics_bytes(folder: Path, text: Path) -> int:
    home = folder / "victoria-metrics"
    with victoria_metrics(home, {}) as server:
        for lines in _milliseconds(text):
            server.post("/api/v1/import/prometheus", lines)
    # Its end has written the parts that were in memory.
    with victoria_metrics(home, {}) as server:
        server.get("/internal/force_merge")
        while re.search(r"^vm_active_merges\S* [1-9]", server.get("/metrics").decode(), re.MULTILINE):
            time.sleep(0.5)
    return file_bytes(home / "data" / "data") + file_bytes(home / "data" / "indexdb")


def _milliseconds(text: Path) -> Iterator[bytes]:
    """Yield the lines in parts, with timestamps in milliseconds as the text format has them."""
    part = []
    with text.open() as file:
        for line in file:
            if not line.startswith("#"):
                head, _, seconds = line.rpartition(" ")
                part.append(f"{head} {round(float(seconds) * 1000)}\n")
            if len(part) == _LINES:
                yield "".join(part).encode()
                part = []
    yield "".join(part).encode()
