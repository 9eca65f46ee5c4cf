"""The embedded store: samples per second, bytes per sample, memory, and latency of queries.

The samples are the recorded ones of `recorded_nodes`.
"""

import gc
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from metricat_hub.model.labels import from_mapping
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings, exchange
from metricat_hub.store.embedded.database import FILE
from metricat_tools.bench.recorded_nodes import BEGIN, DAY, STEP, Clock, RecordedNodes, table_bytes
from metricat_tools.binaries import ensure

POINTS = {"raw": 7 * DAY // STEP, "1m": 30 * 1440, "1h": 365 * 24}
"""Points of one series in each tier, with the default retention."""


def bench(hours: int, days: int) -> None:
    """Measure the embedded store, and print the figures.

    Args:
        hours: simulated hours in which four nodes send samples every ten seconds.
        days: simulated days in which one node sends samples every five minutes, for the tier 1h.
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
        year = {tier: 100 * series * POINTS[tier] * bytes_of[tier] / 2**30 for tier in POINTS}
        parts = ", ".join(f"{tier} {size:.2f}" for tier, size in year.items())
        print(f"100 nodes x {series} series, 10 s, a year: {sum(year.values()):.2f} GiB ({parts}), extrapolated")
    _memory()


def bytes_by_tier(hours: int, days: int) -> dict[str, float]:
    """Return the bytes of a sample or point in each tier. The arguments are those of `bench`."""
    with _store() as (store, clock, folder):
        raw, minutes = _sizes(store, clock, folder, hours)
    with _store() as (store, clock, folder):
        return {"raw": raw, "1m": minutes, "1h": _hourly(store, clock, folder, days)}


def _ingest(store: EmbeddedStore, clock: Clock) -> None:
    nodes = RecordedNodes(store, clock, 100)
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


def _sizes(store: EmbeddedStore, clock: Clock, folder: Path, hours: int) -> tuple[float, float]:
    nodes = RecordedNodes(store, clock, 4)
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
    sizes = table_bytes(folder / FILE)
    points = store.statistics().tiers["1m"]
    minutes = (min(points.newest or 0, clock.now - 3_600_000) - (points.oldest or 0)) / 60_000 * 4 * nodes.series
    return (sizes["chunks_raw"] + sizes["times"]) / samples, sizes["chunks_1m"] / minutes


def _queries(store: EmbeddedStore, clock: Clock) -> None:
    one = [Matcher("__name__", "=", "recorded_3"), Matcher("node", "=", "node-1")]
    _report("one series over 24 h, raw", lambda: store.select(one, clock.now - DAY, clock.now, Hints()))
    minutes = Hints(tier="1m")
    _report("one series over 24 h, 1m", lambda: store.select(one, clock.now - DAY, clock.now, minutes))
    every = [Matcher("node", "=", "node-1")]
    _report("427 series over 1 h, raw", lambda: store.select(every, clock.now - 3_600_000, clock.now, Hints()))


def _hourly(store: EmbeddedStore, clock: Clock, folder: Path, days: int) -> float:
    nodes = RecordedNodes(store, clock, 1)
    for at in range(days * 288):
        nodes.scrape(300_000)
        if at % 24 == 23:
            store.maintain()
    store.maintain(pack_all=True)
    points = (clock.now - BEGIN) // DAY * 24 * nodes.series
    return table_bytes(folder / FILE)["chunks_1h"] / points


def _compare(store: EmbeddedStore, clock: Clock, folder: Path) -> None:
    """Print the bytes of a sample in this store and in Prometheus' blocks, both with their index of series."""
    nodes = RecordedNodes(store, clock, 1)
    samples = sum(nodes.scrape() for _ in range(12 * 360))
    clock.now += 4_000_000
    store.maintain(pack_all=True)
    sizes = table_bytes(folder / FILE)
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


@contextmanager
def _store(settings: Settings | None = None) -> Iterator[tuple[EmbeddedStore, Clock, Path]]:
    clock = Clock()
    folder = Path(tempfile.mkdtemp(prefix="metricat-bench-store-"))
    store = EmbeddedStore.open(folder, settings, clock)
    try:
        yield store, clock, folder
    finally:
        store.close()
        shutil.rmtree(folder)
