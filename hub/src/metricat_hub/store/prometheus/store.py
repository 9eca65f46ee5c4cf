"""A store behind a Prometheus-compatible server: reads through its HTTP API, and writes by remote write."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

import msgspec

from metricat_hub.model.errors import ReadOnlyStoreError, StoreUnavailableError
from metricat_hub.model.json_text import decode_json
from metricat_hub.model.labels import NAME, from_mapping
from metricat_hub.model.metadata import Metadata, MetricType
from metricat_hub.model.ports import Selection
from metricat_hub.model.samples import Appended
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.nodes import Selector
from metricat_hub.promql.printing import text
from metricat_hub.store.prometheus.api import Api
from metricat_hub.store.prometheus.engine import seconds
from metricat_hub.store.prometheus.results import decode
from metricat_hub.store.series_numbers import SeriesNumbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Hints, Matcher
    from metricat_hub.model.samples import Batch, Numbers
    from metricat_hub.model.self_metrics import Sample
    from metricat_hub.model.server import Server
    from metricat_hub.promql.engine import Result
    from metricat_hub.remote.remote_write_sender import RemoteWriteSender

T = TypeVar("T")
_EVER = 2**52
"""Larger times, in milliseconds, mean no bound. The API does not accept them."""
_AHEAD = 86_400_000
"""No server accepts samples so far in the future."""
_LONGEST_RANGE = 200 * 365 * 86_400_000
_EVERY_SERIES = '{__name__!=""}'
_TYPES: frozenset[MetricType] = frozenset({"counter", "gauge", "histogram", "summary", "unknown", "info", "stateset"})


class _Metadata(msgspec.Struct):
    type: str = "unknown"
    help: str = ""
    unit: str = ""


class PrometheusStore:
    """A store behind a Prometheus-compatible HTTP API. Thread-safe."""

    def __init__(self, server: Server, sender: RemoteWriteSender | None = None, limits: Limits | None = None) -> None:
        """Read from a server; write with a sender, or not at all without one."""
        self.api = Api(server)
        self._sender = sender
        self._limits = limits or Limits()
        self._numbers = SeriesNumbers()
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        """A number that changes when the numbers of series are no longer valid."""
        return self._numbers.generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series. The server has its own limit of series.

        Raises:
            ReadOnlyStoreError: --store.write-url is not set.
        """
        self._check_writable()
        return self._numbers.resolve(labels)

    def append(self, batch: Batch) -> Appended:
        """Send samples, and wait until the server has stored them. Only the server detects duplicates.

        Raises:
            ReadOnlyStoreError: --store.write-url is not set.
            StoreUnavailableError: the server did not confirm that it stored the samples. The caller should retry.
        """
        sender = self._check_writable()
        found, unknown = self._numbers.samples(batch)
        if not len(found.times):
            return Appended(0, unknown=unknown)
        with self._lock:
            outcome = sender.send([found])
        if outcome.is_retried:
            raise StoreUnavailableError(
                f"{sender.server.shown} does not store samples: {outcome.text}. Check the server and --store.write-url."
            )
        return Appended(outcome.stored, unknown=unknown)

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Send the metadata of metrics. A failure does no harm: the caller sends it again later."""
        if self._sender is not None:
            with self._lock:
                self._sender.send_metadata(metadata)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:  # noqa: ARG002 -- the server has one tier
        """Return the samples from start to end, without staleness markers, which the API does not return."""
        start, end = max(start, -_EVER), min(end, time.time_ns() // 1_000_000 + _AHEAD)
        length = min(end - start + 1, _LONGEST_RANGE)  # the range excludes its start
        if length <= 0:
            return Selection([])
        query = f"{_selector(matchers)}[{length}ms]"
        answer = self.api.post("/query", [("query", query), ("time", seconds(end))])
        result = self._decoded(answer.data, end)
        return Selection(result.series, warnings=answer.warnings or ())

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers and may have samples from start to end."""
        if not matchers:
            return []
        answer = self.api.post("/series", [*_matches(matchers), *_bounds(start, end)])
        return sorted(map(from_mapping, self._list(answer.data, dict[str, str])))

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of series. See `Reader.label_names`."""
        answer = self.api.post("/labels", [*_matches(matchers), *_bounds(start, end)])
        return sorted(self._list(answer.data, str))

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label. See `Reader.label_values`."""
        answer = self.api.get(f"/label/{_escaped(name)}/values", [*_matches(matchers), *_bounds(start, end)])
        return sorted(self._list(answer.data, str))

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of metrics by name; empty if the server does not have the endpoint."""
        answer = self.api.get("/metadata")
        try:
            found = decode_json(answer.data, dict[str, list[_Metadata]])
        except msgspec.MsgspecError as error:
            raise self.api.invalid(f"metadata: {error}") from None
        return {name: _metadata(entries[0]) for name, entries in found.items() if entries}

    def count_series(self, at: int) -> int:
        """Return the number of series with a sample in the lookback period before a time."""
        answer = self.api.post("/query", [("query", f"count({_EVERY_SERIES})"), ("time", seconds(at))])
        values = self._decoded(answer.data, at).values
        return int(values[0]) if len(values) else 0

    def maintain(self) -> object:
        """Do nothing: the server maintains itself."""
        return None

    def metrics(self) -> Sequence[Sample]:
        """Return no metrics: the server exposes its own metrics."""
        return ()

    def problems(self) -> Sequence[str]:
        """Return no problems: each query reports its own error."""
        return ()

    def close(self) -> None:
        """Close the connections."""
        self.api.close()
        if self._sender is not None:
            self._sender.close()

    def _check_writable(self) -> RemoteWriteSender:
        if self._sender is None:
            raise ReadOnlyStoreError(
                "the hub only reads from its store; set --store.write-url, or send the samples to the server of "
                "--store.url"
            )
        return self._sender

    def _decoded(self, data: msgspec.Raw, at: int) -> Result:
        try:
            return decode(data, at, self._limits)
        except msgspec.MsgspecError as error:
            raise self.api.invalid(f"result of a query: {error}") from None

    def _list(self, data: msgspec.Raw, kind: type[T]) -> list[T]:
        try:
            return decode_json(data, list[kind] | None) or []  # type: ignore[valid-type] # a type at run time
        except msgspec.MsgspecError as error:
            raise self.api.invalid(f"list of labels or series: {error}") from None


def _selector(matchers: Sequence[Matcher]) -> str:
    """Return a selector. If it could match series without labels, add the matcher that Prometheus requires."""
    written = text(Selector(tuple(matchers)))
    if not matchers:
        return _EVERY_SERIES
    if any(one.name == NAME and one.operator == "=" for one in matchers):
        return written
    return f"{written[:-1]},{_EVERY_SERIES[1:]}"


def _matches(matchers: Sequence[Sequence[Matcher]]) -> list[tuple[str, str]]:
    return [("match[]", _selector(one)) for one in matchers]


def _bounds(start: int, end: int) -> list[tuple[str, str]]:
    """Return the parameters for a time range, without `start` or `end` if that side is unbounded."""
    found = [] if start < -_EVER else [("start", seconds(start))]
    return found if end > _EVER else [*found, ("end", seconds(end))]


def _escaped(name: str) -> str:
    """Return a label name for a path, with Prometheus' escapes (``U__``) if it needs them."""
    if name.isascii() and name.replace("_", "a").isalnum() and not name[:1].isdigit():
        return name
    return "U__" + "".join(
        char if char.isascii() and char.isalnum() else "__" if char == "_" else f"_{ord(char):x}_" for char in name
    )


def _metadata(one: _Metadata) -> Metadata:
    kind: MetricType = one.type if one.type in _TYPES else "unknown"
    return Metadata(kind, one.help, one.unit)
