"""The interface of the embedded store for the other packages of the hub."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.embedded import appending, operations, registry, selection, statistics
from metricat_hub.store.embedded.core import Core
from metricat_hub.store.embedded.maintenance import Maintained, Maintenance
from metricat_hub.store.embedded.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
    from pathlib import Path

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Matcher, Selection, Selections, Series, Tier
    from metricat_hub.model.samples import Appended, Batch, Numbers
    from metricat_hub.model.self_metrics import Sample


def current_time() -> int:
    """Return the time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


class EmbeddedStore:
    """A store of samples in one directory. Thread-safe."""

    def __init__(self, core: Core) -> None:
        """Use `open` instead."""
        self._core = core
        self._maintenance = Maintenance(core)

    @classmethod
    def open(cls, folder: Path, settings: Settings | None = None, clock: Callable[[], int] = current_time) -> Self:
        """Open the store in a directory, which is created if it does not exist.

        Args:
            folder: the directory.
            settings: retention and limits.
            clock: returns the time in milliseconds.

        Raises:
            StoreLockedError: another process has the store open.
            StoreUnavailableError: the store cannot be read or written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return cls(Core(folder, settings or Settings(), clock))
        except OSError as error:
            raise StoreUnavailableError(
                f"{folder}: cannot open the store: {error.strerror}. Check the directory and its permissions."
            ) from error

    @classmethod
    def open_read_only(cls, folder: Path, settings: Settings | None = None) -> Self:
        """Open a snapshot of the store for reading, even while another process has it open.

        Raises:
            StoreUnavailableError: the store cannot be read.
        """
        return cls(Core(folder, settings or Settings(), current_time, read_only=True))

    def close(self) -> None:
        """Close the files and release the lock. All accepted samples are already in the file."""
        self._core.close()

    @property
    def generation(self) -> int:
        """A number that changes when series are removed from the index. Their numbers then become invalid."""
        return self._core.generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series; -1 if it is rejected. See `Writer.resolve`."""
        return registry.resolve(self._core, labels)

    def append(self, batch: Batch) -> Appended:
        """Store samples. See `Writer.append`."""
        core = self._core
        with core.mutex:
            core.check_open()
            try:
                return appending.append(core, batch, core.clock())
            except StoreUnavailableError:
                core.rejected["unavailable"] += len(batch.series)
                raise

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, by metric name."""
        core = self._core
        with core.mutex:
            core.check_open()
            changed = {name: one for name, one in metadata.items() if core.metadata.get(name) != one}
            if changed:
                rows = [(name, one.type, one.help, one.unit) for name, one in changed.items()]
                core.write("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)", rows)
                core.metadata = {**core.metadata, **changed}

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of each metric by name."""
        return self._core.metadata

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
        return selection.select(self._core, matchers, start, end, hints)

    def select_many(
        self, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints
    ) -> Selections | None:
        """Return the samples of the series of each selector. See `BatchReader.select_many`."""
        return selection.select_many(self._core, selectors, start, end, hints)

    def past(self, until: int) -> Hashable:
        """Return a version that changes with the samples at or before a time. See `PastReader.past`."""
        core = self._core
        with core.mutex:
            core.past_until = max(core.past_until, until)
            return core.past_changes, core.progress

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers and may have samples from start to end."""
        self._core.check_open()
        found: dict[int, Labels] = {}
        for one in matchers:
            found.update(registry.match(self._core, one, start, end)[1])
        return [found[number] for number in sorted(found)]

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of the series that `series` returns. See `Reader.label_names`."""
        return sorted({name for labels in self.series(matchers or [[]], start, end) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label in the series that `series` returns. See `Reader.label_values`."""
        found = self.series(matchers or [[]], start, end)
        return sorted({value for labels in found for label, value in labels if label == name})

    def maintain(self, now: int | None = None, *, pack_all: bool = False) -> Maintained:
        """Run due maintenance: pack, downsample, drop old samples, and write the WAL back.

        Call it every few seconds, from a thread: `Settings.round_seconds` limits a round. Appending and queries
        continue.

        Args:
            now: the time in milliseconds; None: the current time.
            pack_all: also pack samples that could stay in memory, and finish all work.

        Raises:
            StoreUnavailableError: the disk is full or fails. No sample is lost; a later call continues.
        """
        return self._maintenance.run(self._core.clock() if now is None else now, pack_all=pack_all)

    def statistics(self) -> statistics.Statistics:
        """Return numbers of series, sizes of the files, and numbers of rejected samples."""
        return statistics.collect(self._core)

    def metrics(self) -> Sequence[Sample]:
        """Return the statistics as metrics of the hub."""
        return statistics.as_metrics(self.statistics())

    def problems(self) -> Sequence[str]:
        """Return no problems: maintenance and writes raise errors instead."""
        return ()

    def iterate(self, matchers: Sequence[Matcher], start: int, end: int, tier: Tier = "raw") -> Iterator[Series]:
        """Yield all matching series, sorted by metric name, without limits. For `tier`, see `selection.iterate`."""
        return selection.iterate(self._core, matchers, start, end, tier)

    def append_any_age(self, batch: Batch) -> Appended:
        """Store samples that may be older than the out-of-order window and the retention, for an import."""
        core = self._core
        with core.mutex:
            core.check_open()
            return appending.append(core, batch, core.clock(), any_age=True)

    def backup(self, folder: Path) -> int:
        """Copy a snapshot of the store to another directory, even while it runs; return the size in bytes.

        Raises:
            StoreUnavailableError: the directory has a store already, or cannot be written.
        """
        return operations.backup(self._core.path, folder)
