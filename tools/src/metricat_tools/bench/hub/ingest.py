"""The part `ingest`: samples per CPU second by scrapes (with parsing), by the store alone, and by remote write.

All rates are per second of CPU time, so that other work on the machine does not change them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cramjam
import numpy as np

from metricat_agent.push.series_encoder import SeriesEncoder
from metricat_hub.model.samples import Batch
from metricat_hub.sources.scrape.config import Job, TargetGroup
from metricat_hub.sources.scrape.series_cache import SeriesCache
from metricat_hub.sources.scrape.target import build, discovered_labels
from metricat_hub.store.embedded import EmbeddedStore
from metricat_tools.bench.hub import data_set, pages, programs
from metricat_tools.bench.hub.machine import cpu_seconds
from metricat_tools.bench.hub.report import Figure

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from metricat_tools.bench.hub.programs import Server

    Columns: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]

_NODES, _SERIES, _ROUNDS = 100, 691, 30
_STEP = 10_000
_JOB = Job("metricat")
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def measure(folder: Path) -> list[Figure]:
    """Return the three rates of the hub, and the rate of remote write of the other programs."""
    page = pages.parse(pages.read(), _SERIES)
    random = np.random.default_rng(1)
    columns = np.array([pages.values(line, _ROUNDS + 5, random) for line in page.lines])
    parsed = _parse_and_append(folder / "parsed", page, columns)
    appended = _append(folder / "appended", page, columns)
    bodies = _bodies(page, columns)
    with programs.hub(folder / "hub", {}) as server:
        own = _remote_write(server, "/api/v1/write", bodies)
    with programs.prometheus(folder / "prometheus", {}, "--web.enable-remote-write-receiver") as server:
        prometheus = _remote_write(server, "/api/v1/write", bodies)
    with programs.victoria_metrics(folder / "victoria-metrics", {}) as server:
        victoria = _remote_write(server, "/api/v1/write", bodies)
    return [
        Figure("parse a page and append it", _rate(parsed), goal=_rate(200_000), met=parsed >= 200_000),
        Figure("append to the store alone", _rate(appended), goal=_rate(1_000_000), met=appended >= 1_000_000),
        Figure("remote write", _rate(own), _rate(prometheus), _rate(victoria), _rate(100_000), own >= 100_000),
    ]


def _rate(samples: float) -> str:
    return f"{samples:,.0f} samples/s"


def _parse_and_append(folder: Path, page: pages.Page, columns: Columns) -> float:
    texts = [page.text(column) for column in columns.T]
    caches = []
    for node in range(_NODES):
        group = TargetGroup((f"10.0.0.{node}:9100",), (("node", f"node-{node}"),))
        target = build(_JOB, discovered_labels(_JOB, group.targets[0], group))
        assert target is not None
        caches.append(SeriesCache(target))
    clock = data_set.END
    store = EmbeddedStore.open(folder, clock=lambda: clock)
    begin = 0.0
    try:
        for at, text in enumerate(texts):
            if at == 5:
                begin = time.process_time()
            clock += _STEP
            for cache in caches:
                reading = cache.read(text, openmetrics=False, now=clock)
                numbers = cache.resolve(store, reading.slots)
                store.append(Batch(numbers, np.full(len(numbers), clock), reading.values))
                cache.clean()
        spent = time.process_time() - begin
    finally:
        store.close()
    return (len(texts) - 5) * _NODES * _SERIES / spent


def _append(folder: Path, page: pages.Page, columns: Columns) -> float:
    clock = data_set.END
    store = EmbeddedStore.open(folder, clock=lambda: clock)
    try:
        numbers = [store.resolve(data_set.labels(page, node)) for node in range(_NODES)]
        begin = time.process_time()
        for column in columns.T:
            clock += _STEP
            for own in numbers:
                store.append(Batch(own, np.full(_SERIES, clock), column))
        spent = time.process_time() - begin
    finally:
        store.close()
    return columns.shape[1] * _NODES * _SERIES / spent


def _bodies(page: pages.Page, columns: Columns) -> list[tuple[bytes, int]]:
    """Return the bodies that agents would push, ending now, and the number of samples of each."""
    encoders = [SeriesEncoder(dict(data_set.own_labels(node))) for node in range(_NODES)]
    start = time.time_ns() // 1_000_000 - columns.shape[1] * _STEP
    bodies = []
    for at, column in enumerate(columns.T):
        text = page.text(column)
        for encoder in encoders:
            bodies += [
                (bytes(cramjam.snappy.compress_raw(batch.body)), batch.samples)
                for batch in encoder.encode(text, start + at * _STEP)
            ]
    return bodies


def _remote_write(server: Server, path: str, bodies: list[tuple[bytes, int]]) -> float:
    """Return the samples per second of CPU, after each series is known."""
    for body, _ in bodies[: 2 * _NODES]:
        server.post(path, body, _HEADERS)
    before = cpu_seconds(server.pid)
    samples = 0
    for body, count in bodies[2 * _NODES :]:
        server.post(path, body, _HEADERS)
        samples += count
    return samples / (cpu_seconds(server.pid) - before)
