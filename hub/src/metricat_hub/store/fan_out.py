"""A store that also forwards every accepted sample to outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_agent.push.series_encoder import Batch as Record
from metricat_hub.model.samples import Batch
from metricat_hub.remote import records
from metricat_hub.store.spreading import rejections, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, ManagedStore, Matcher, Selection
    from metricat_hub.model.samples import Appended, Numbers
    from metricat_hub.model.self_metrics import Sample
    from metricat_hub.remote.output import Output


class FanOut:
    """A store that forwards samples to outputs. Its series numbers are those of the store `inner`."""

    def __init__(self, inner: ManagedStore, outputs: Sequence[Output]) -> None:
        self.inner = inner
        self.outputs = outputs
        self._labels: dict[int, Labels] = {}
        self._generation = inner.generation

    @property
    def generation(self) -> int:
        """A number that changes when the numbers of series are no longer valid."""
        return self.inner.generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series, and remember its labels for the outputs."""
        numbers = self.inner.resolve(labels)
        if self._generation != (generation := self.inner.generation):
            # Writers resolve all series again. A number that one of them still uses is unknown to it then.
            self._generation, self._labels = generation, {}
        self._labels.update(zip(numbers.tolist(), labels, strict=True))
        return numbers

    def append(self, batch: Batch) -> Appended:
        """Store samples, then put the samples that were not rejected into the queues of the outputs."""
        numbers, index = np.unique(batch.series, return_inverse=True)
        labels = list(map(self._labels.get, numbers.tolist()))
        gone = np.array([one is None for one in labels], np.bool_)[index] if None in labels else None
        if gone is not None:
            kept = ~gone
            appended = self.append(Batch(batch.series[kept], batch.times[kept], batch.values[kept]))
            return spread(appended, gone)
        appended = self.inner.append(batch)
        rejected = rejections(appended)
        stored = slice(None) if rejected is None else ~rejected
        times = batch.times[stored]
        if len(times):
            samples = records.Samples(
                labels,  # type: ignore[arg-type] # none is None
                index.astype(np.int32)[stored],
                times,
                batch.values[stored],
            )
            record = Record(records.encode(samples), len(times), int(times.max()))
            for output in self.outputs:
                output.delivery.put_encoded(record)
        return appended

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, and send it to the outputs."""
        self.inner.set_metadata(metadata)
        for output in self.outputs:
            output.set_metadata(metadata)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return samples of the store `inner`. See `Reader.select`."""
        return self.inner.select(matchers, start, end, hints)

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return series of the store `inner`. See `Reader.series`."""
        return self.inner.series(matchers, start, end)

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return label names of the store `inner`. See `Reader.label_names`."""
        return self.inner.label_names(matchers, start, end)

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return label values of the store `inner`. See `Reader.label_values`."""
        return self.inner.label_values(name, matchers, start, end)

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of the store."""
        return self.inner.metadata()

    def maintain(self) -> object:
        """Maintain the store."""
        return self.inner.maintain()

    def metrics(self) -> Sequence[Sample]:
        """Return the metrics of the store and of the outputs."""
        return [*self.inner.metrics(), *(one for output in self.outputs for one in output.metrics())]

    def problems(self) -> Sequence[str]:
        """Return the problems of the store."""
        return self.inner.problems()

    def close(self) -> None:
        """Wait a few seconds for the outputs to send waiting samples, then close the store."""
        for output in self.outputs:
            output.close()
        self.inner.close()
