"""A data directory of the hub with the history of many nodes, as after scrapes every ten seconds.

The samples of a few nodes are computed, and encoded as the maintenance of the store encodes them. Their chunks are
copied to further nodes.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import from_mapping
from metricat_hub.model.metadata import Metadata
from metricat_hub.store.embedded import encoding, registry, tiers
from metricat_hub.store.embedded.core import Core, Progress
from metricat_hub.store.embedded.database import transaction
from metricat_hub.store.embedded.encoding import Chunk
from metricat_hub.store.embedded.settings import DAY, Settings
from metricat_hub.store.embedded.windows import BY_HOUR, BY_MINUTE, LAYOUTS, RAW, Layout, identity
from metricat_tools.bench.hub import pages
from metricat_tools.binaries import cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Numbers

END = 20_670 * DAY
"""The time of the newest samples: the end of a window of each tier."""
STEP = 10_000
PAGE = "page.txt"
"""The file with the page from which the data set was made."""
_TEMPLATES = 5
_CHUNK = struct.Struct("<BIB")
"""Version, checksum, columns: see docs/hub/store-format.md."""
_VERSION = "1"
"""Increase it when the content of the data set changes."""


@dataclass(frozen=True)
class _Encoded:
    """The chunk of one series of a template."""

    mask: int
    body: bytes

    def row(self, chunk: int) -> tuple[int, bytes]:
        """Return the row of the chunk for a series and window."""
        checksum = zlib.crc32(self.body, zlib.crc32(struct.pack("<qB", chunk, self.mask)))
        return chunk, _CHUNK.pack(1, checksum, self.mask) + self.body


def ensure(nodes: int, series: int, days: int, report: Callable[[str], None]) -> Path:
    """Return a data directory with `days` days of `nodes` nodes with `series` series each. Create it if needed."""
    folder = cache.root() / "bench" / f"hub-{nodes}-{series}-{days}-{_VERSION}"
    if not folder.is_dir():
        made = folder.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        text = pages.read()
        (made / PAGE).write_text(text)
        _make(made, nodes, pages.parse(text, series), days, report)
        made.rename(folder)
    return folder


def own_labels(node: int) -> dict[str, str]:
    """Return the labels of a node."""
    return {
        "instance": f"10.0.0.{node}:9100",
        "job": "metricat",
        "namespace": "local",
        "node": f"node-{node:02}",
        "pool": "default",
        "service": "metricat",
    }


def labels(page: pages.Page, node: int) -> list[Labels]:
    """Return the labels of the series of a node."""
    own = own_labels(node)
    return [from_mapping({**dict(line.labels), **own, "__name__": line.name}) for line in page.lines]


def _make(folder: Path, nodes: int, page: pages.Page, days: int, report: Callable[[str], None]) -> None:
    core = Core(folder, Settings(), lambda: END)
    try:
        numbers = [registry.resolve(core, labels(page, node)) for node in range(nodes)]
        names = [Metadata("counter" if line.is_counter else "gauge") for line in page.lines]
        core.metadata = {line.name: one for line, one in zip(page.lines, names, strict=True)}
        rows = [(name, one.type, one.help, one.unit) for name, one in core.metadata.items()]
        core.write("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)", rows)
        templates = []
        for at in range(_TEMPLATES):
            report(f"computing the history of node {at + 1} of {_TEMPLATES}")
            templates.append(_template(page, days, at))
        for layout in LAYOUTS:
            report(f"writing the chunks of the tier {layout.tier}")
            for window in sorted({window for one in templates for window in one[layout.tier]}):
                _write(core, layout, window, templates, numbers)
        _finish(core, np.concatenate(numbers), days)
    finally:
        core.close()


def _template(page: pages.Page, days: int, seed: int) -> dict[str, dict[int, list[_Encoded]]]:
    """Return the chunks of a node by tier and window, in the order of the page."""
    random = np.random.default_rng(seed)
    found: dict[str, dict[int, list[_Encoded]]] = {layout.tier: {} for layout in LAYOUTS}
    times = np.arange(END - days * DAY + STEP, END + 1, STEP)
    recent = times > END - Settings().raw_retention
    for line in page.lines:
        values = pages.values(line, len(times), random)
        minutes = tiers.downsample(times, values, "counter" if line.is_counter else "gauge", None)
        raw = Chunk(times[recent], {"last": values[recent]})
        for layout, chunk in ((RAW, raw), (BY_MINUTE, minutes), (BY_HOUR, tiers.coarser(minutes))):
            for window, part in _windows(layout, chunk):
                encoded = encoding.encode_times(part.times, layout.base(window))
                data = encoding.encode_chunk(0, encoded, part.columns)
                _, _, mask = _CHUNK.unpack_from(data)
                found[layout.tier].setdefault(window, []).append(_Encoded(mask, data[_CHUNK.size :]))
    return found


def _windows(layout: Layout, chunk: Chunk) -> Iterator[tuple[int, Chunk]]:
    windows = (chunk.times - 1) // layout.size
    bounds = [0, *(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(windows)]
    for begin, end in pairwise(bounds):
        yield int(windows[begin]), tiers.column_part(chunk, slice(begin, end))


def _write(
    core: Core,
    layout: Layout,
    window: int,
    templates: list[dict[str, dict[int, list[_Encoded]]]],
    numbers: list[Numbers],
) -> None:
    with transaction(core.writer):
        for node, own in enumerate(numbers):
            chunks = templates[node % len(templates)][layout.tier][window]
            rows = [chunk.row(identity(window, number)) for chunk, number in zip(chunks, own.tolist(), strict=True)]
            core.writer.executemany(f"INSERT INTO {layout.table} VALUES (?, ?)", rows)  # noqa: S608 -- a name of ours
    core.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _finish(core: Core, numbers: Numbers, days: int) -> None:
    """Store the times of the series, and how far maintenance is."""
    core.times.newest[numbers] = END
    core.times.first[numbers] = END - days * DAY + STEP
    dropped = END - Settings().raw_retention
    with transaction(core.writer):
        core.save_progress(Progress(by_minute=END, by_hour=END, dropped_raw=dropped))
        core.writer.execute("INSERT OR REPLACE INTO state VALUES ('times', ?)", (core.times.encode(),))
