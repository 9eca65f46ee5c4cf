"""Writes the metadata of metrics in the responses of all targets to the store when it changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from metricat_hub.model.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Writer
    from metricat_hub.sources.scrape.page import Meta

_MOST_METRICS = 50_000
"""The most metrics whose metadata is kept, because a hostile target may export any number of metrics."""


class MetadataWriter:
    """Writes new or changed metadata to the store. Thread-safe."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._known: dict[str, Metadata] = {}
        self._lock = threading.Lock()

    def update(self, metas: Sequence[Meta]) -> None:
        """Store the metadata of a scrape response, if it is new or has changed."""
        if not metas:
            return
        with self._lock:
            changed: dict[str, Metadata] = {}
            for meta in metas:
                before = changed.get(meta.name) or self._known.get(meta.name) or Metadata()
                after = _with(before, meta)
                if after != before and (meta.name in self._known or len(self._known) + len(changed) < _MOST_METRICS):
                    changed[meta.name] = after
            if changed:
                self._writer.set_metadata(changed)
                self._known.update(changed)


def _with(before: Metadata, meta: Meta) -> Metadata:
    if meta.keyword == b"TYPE":
        return Metadata(meta.type, before.help, before.unit)
    if meta.keyword == b"HELP":
        return Metadata(before.type, meta.text, before.unit)
    return Metadata(before.type, before.help, meta.text)
