"""The embedded store: samples per second, bytes per sample, memory, and latency of queries.

The samples are those of a recorded machine that built and tested Metricat: its 427 series that existed for all of 65
minutes, as Metricat's agent exposed them every ten seconds. The recording repeats, and its counters continue.
"""

import gc
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from metricat_hub.model.labels import from_mapping
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings, exchange
from metricat_hub.store.embedded.database import FILE
from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAY = 86_400_000
_BEGIN = 20_000 * _DAY
_STEP = 10_000
_POINTS = {"raw": 7 * _DAY // _STEP, "1m": 30 * 1440, "1h": 365 * 24}
"""Points of one series in each tier, with the default retention."""


class _Clock:
    def __init__(self) -> None:
        self.now = _BEGIN

    def __call__(self) -> int:
        return self.now


class _Nodes:
    """Machines whose samples are the recorded ones."""

    def __init__(self, store: EmbeddedStore, clock: _Clock, count: int) -> None:
        recorded = np.load(str(files(__package__).joinpath("agent_pages.npz")))
        self._values: NDArray[np.float64] = recorded["values"]
        counters: NDArray[np.bool_] = recorded["counters"]
        self._growth = np.where(counters, self._values[-1] - self._values[0], 0)
        self._store = store
        self._clock = clock
        self.series = len(counters)
        names = [f"recorded_{at}{'_total' if counter else ''}" for at, counter in enumerate(counters)]
        store.set_metadata(
            {name: Metadata("gauge") for name, counter in zip(names, counters, strict=True) if not counter}
        )
        self._numbers = [
            store.resolve(
                [
                    from_mapping({"__name__": name, "node": f"node-{node}", "job": "agent", "pool": "all"})
                    for name in names
                ]
            )
            for node in range(count)
        ]
        self._round = 0

    def scrape(self, step: int = _STEP) -> int:
        """Append one page of each node, and return the number of samples."""
        cycle, row = divmod(self._round, len(self._values))
        self._round += 1
        self._clock.now += step
        values = self._values[row] + cycle * self._growth
        times = np.full(self.series, self._clock.now)
        for numbers in self._numbers:
            self._store.append(Batch(numbers, times, values))
        return self.series * len(self._numbers)


def bench(hours: int, days: int) -> None:
    """Print the figures.

    Args:
        hours: how long four nodes send samples every ten seconds.
        days: how long one node sends samples every five minutes, for the tier 1h.
    """
    with _store() as (store, clock, folder):
        _ingest(store, clock)
    with _store() as (store, clock, folder):
        raw, minutes = _sizes(store, clock, folder, hours)
        _queries(store, clock)
    with _store() as (store, clock, folder):
        hourly = _hourly(store, clock, folder, days)
    with _store() as (store, clock, folder):
        _compare(store, clock, folder)
    bytes_of = {"raw": raw, "1m": minutes, "1h": hourly}
    print(f"raw, after packing: {raw:.2f} bytes/sample")
    print(f"1m: {minutes:.2f} bytes/point; 1h: {hourly:.2f} bytes/point")
    for series in (427, 691):
        year = {tier: 100 * series * _POINTS[tier] * bytes_of[tier] / 2**30 for tier in _POINTS}
        parts = ", ".join(f"{tier} {size:.2f}" for tier, size in year.items())
        print(f"100 nodes x {series} series, 10 s, a year: {sum(year.values()):.2f} GiB ({parts}), extrapolated")
    _memory()


def _ingest(store: EmbeddedStore, clock: _Clock) -> None:
    nodes = _Nodes(store, clock, 100)
    rates = []
    for _ in range(9):
        begin = time.perf_counter()
        count = sum(nodes.scrape() for _ in range(6))
        rates.append(count / (time.perf_counter() - begin))
    print(f"append, batches of {nodes.series}: {statistics.median(rates):,.0f} samples/s (best {max(rates):,.0f})")
    newest = [Matcher("__name__", "=", "recorded_3")]
    _report("newest value of 100 nodes", lambda: store.select(newest, clock.now - 300_000, clock.now, Hints()))
    begin = time.perf_counter()
    packed = store.maintain(pack_all=True).packed_samples
    print(f"packing {packed:,} samples into {100 * nodes.series:,} chunks: {time.perf_counter() - begin:.1f} s")
    _report("the same after packing", lambda: store.select(newest, clock.now - 300_000, clock.now, Hints()))


def _sizes(store: EmbeddedStore, clock: _Clock, folder: Path, hours: int) -> tuple[float, float]:
    nodes = _Nodes(store, clock, 4)
    samples = 0
    spent = 0.0
    for at in range(hours * 360):
        samples += nodes.scrape()
        if at % 30 == 29:
            begin = time.process_time()
            store.maintain()
            spent += time.process_time() - begin
    store.maintain(pack_all=True)
    print(f"maintenance: {spent / samples * 1e6:.2f} us of CPU per sample ({samples:,} samples)")
    sizes = _table_bytes(folder)
    points = store.statistics().tiers["1m"]
    minutes = (min(points.newest or 0, clock.now - 3_600_000) - (points.oldest or 0)) / 60_000 * 4 * nodes.series
    return (sizes["chunks_raw"] + sizes["times"]) / samples, sizes["chunks_1m"] / minutes


def _queries(store: EmbeddedStore, clock: _Clock) -> None:
    one = [Matcher("__name__", "=", "recorded_3"), Matcher("node", "=", "node-1")]
    _report("one series over 24 h, raw", lambda: store.select(one, clock.now - _DAY, clock.now, Hints()))
    minutes = Hints(tier="1m")
    _report("one series over 24 h, 1m", lambda: store.select(one, clock.now - _DAY, clock.now, minutes))
    every = [Matcher("node", "=", "node-1")]
    _report("427 series over 1 h, raw", lambda: store.select(every, clock.now - 3_600_000, clock.now, Hints()))


def _hourly(store: EmbeddedStore, clock: _Clock, folder: Path, days: int) -> float:
    nodes = _Nodes(store, clock, 1)
    for at in range(days * 288):
        nodes.scrape(300_000)
        if at % 24 == 23:
            store.maintain()
    store.maintain(pack_all=True)
    points = (clock.now - _BEGIN) // _DAY * 24 * nodes.series
    return _table_bytes(folder)["chunks_1h"] / points


def _compare(store: EmbeddedStore, clock: _Clock, folder: Path) -> None:
    """Print the bytes of a sample in this store and in Prometheus' blocks, both with their index of series."""
    nodes = _Nodes(store, clock, 1)
    samples = sum(nodes.scrape() for _ in range(12 * 360))
    clock.now += 4_000_000
    store.maintain(pack_all=True)
    sizes = _table_bytes(folder)
    ours = (sizes["chunks_raw"] + sizes["times"] + sizes["series"]) / samples
    text, blocks = folder / "samples.txt", folder / "blocks"
    with text.open("w") as file:
        file.writelines(f"{line}\n" for line in exchange.export(store.iterate([], 0, clock.now), "openmetrics"))
    promtool = ensure("promtool")["promtool"]
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", text, blocks], check=True, capture_output=True
    )
    theirs = sum(path.stat().st_size for name in ("chunks/*", "index") for path in blocks.rglob(name)) / samples
    print(f"with the index of series: {ours:.2f} bytes/sample, Prometheus {theirs:.2f}, ratio {ours / theirs:.2f}")


def _memory() -> None:
    gc.collect()
    process = psutil.Process()
    with _store(Settings(series_limit=100_000)) as (store, clock, _):
        before = process.memory_info().rss
        for node in range(10):
            names = [
                from_mapping(
                    {
                        "__name__": f"node_metric_{at % 200}",
                        "instance": f"10.0.0.{node}:9100",
                        "node": f"node-{node}",
                        "namespace": "local",
                        "service": "metricat",
                        "pool": "default",
                        "device": f"dev{at // 200}",
                    }
                )
                for at in range(10_000)
            ]
            numbers = store.resolve(names)
            store.append(Batch(numbers, np.full(10_000, clock.now), np.ones(10_000)))
        store.maintain(pack_all=True)
        del names
        gc.collect()
        print(f"memory of 100,000 series: {(process.memory_info().rss - before) / 2**20:.0f} MiB")
        extra = [from_mapping({"__name__": "more", "at": str(at)}) for at in range(900_000)]
        before = process.memory_info().rss
        store.resolve(extra)
        grown = (process.memory_info().rss - before) / 2**20
        print(f"900,000 more series are refused ({store.statistics().refused_series:,}): {grown:+.0f} MiB")


def _report(name: str, query: Callable[[], object]) -> None:
    query()
    took = []
    for _ in range(50):
        begin = time.perf_counter()
        query()
        took.append(time.perf_counter() - begin)
    print(f"{name}: {statistics.median(took) * 1000:.2f} ms (best {min(took) * 1000:.2f})")


def _table_bytes(folder: Path) -> dict[str, int]:
    """Return the bytes of all pages of each table."""
    connection = sqlite3.connect(folder / FILE)
    try:
        return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
    finally:
        connection.close()


@contextmanager
def _store(settings: Settings | None = None) -> Iterator[tuple[EmbeddedStore, _Clock, Path]]:
    clock = _Clock()
    folder = Path(tempfile.mkdtemp(prefix="metricat-bench-store-"))
    store = EmbeddedStore.open(folder, settings, clock)
    try:
        yield store, clock, folder
    finally:
        store.close()
        shutil.rmtree(folder)
