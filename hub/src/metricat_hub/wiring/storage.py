"""Opens the store of the settings with its buffer, query engine and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.errors import HubError
from metricat_hub.store.opening import open_store, query_limits
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.storage_state import StorageState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.config.outputs import OutputSettings
    from metricat_hub.config.settings import Settings
    from metricat_hub.model.ports import ManagedStore, Reader
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.remote.delivery import DeliveryState
    from metricat_hub.remote.output import Output
    from metricat_hub.store.buffered import BufferedStore
    from metricat_hub.store.prometheus import PrometheusStore


class Storage(StorageState):
    """The opened store with its buffer, query engine and outputs."""

    def __init__(self, store: ManagedStore) -> None:
        self.store = store
        self.engine: QueryEngine | None = None
        """Sends queries to the server of a remote store; None: the hub evaluates queries over the store."""
        self.queries: QueryEngine
        """Evaluates the queries of the API and of rules, with a common memory limit."""
        self._remote: PrometheusStore | None = None
        self._buffered: BufferedStore | None = None
        self._outputs: Sequence[Output] = ()

    @property
    def remote(self) -> PrometheusStore | None:
        """The store of another server with an HTTP API; None: the hub stores the samples."""
        return self._remote

    @property
    def is_read_only(self) -> bool:
        """Whether the store accepts no samples."""
        return self._remote is not None and self._buffered is None

    def check_writable(self, what: str, remedy: str) -> None:
        """Raise an error if the store is read-only.

        `what` is the part of the hub that would write samples, and `remedy` says how to run the hub without it.
        """
        if self.is_read_only:
            raise HubError(f"{what}: the hub may only read the store. Set --store.write-url, or {remedy}.")

    def notices(self) -> Sequence[str]:
        """Return the problems that do not stop the hub, each with its remedy."""
        own = self._buffered.notices() if self._buffered else ()
        return [*own, *(one for output in self._outputs for one in output.notices())]

    def buffer(self) -> DeliveryState | None:
        """Return the state of the buffer before the store; None if it has none."""
        return self._buffered.state() if self._buffered else None

    def outputs(self) -> Sequence[tuple[str, str, DeliveryState]]:
        """Return name, URL and state of each output."""
        return [(one.name, one.sender.server.shown, one.delivery.state()) for one in self._outputs]

    def count_series(self, store: Reader, now: int) -> int:
        """Return the number of series with samples in the last hour; if the store is remote, in its lookback period."""
        return self._remote.count_series(now) if self._remote else super().count_series(store, now)

    def add_engine(self, settings: Settings) -> None:
        """Evaluate queries by the server of a remote store."""
        from metricat_hub.store.prometheus import PrometheusStore, RemoteEngine  # noqa: PLC0415 -- if needed

        if isinstance(self.store, PrometheusStore):
            self._remote = self.store
            self.engine = RemoteEngine(self.store.api, query_limits(settings))

    def add_buffer(self, settings: Settings, clock: Callable[[], int]) -> None:
        """Add a buffer on disk for the samples while the store is down."""
        from metricat_hub.remote.delivery import QueueSettings  # noqa: PLC0415 -- if needed
        from metricat_hub.store.buffered import BufferedEngine, BufferedStore  # noqa: PLC0415 -- as above

        queue = QueueSettings(settings.data / "store-buffer", settings.buffer.most_bytes, settings.buffer.most_age)
        self._buffered = BufferedStore(self.store, queue, clock, query_limits(settings))
        self.store = self._buffered
        if self.engine is not None:
            self.engine = BufferedEngine(self.engine, self._buffered)

    def add_outputs(self, settings: Settings, clock: Callable[[], int]) -> None:
        """Add the outputs, which forward all samples."""
        from metricat_hub.store.fan_out import FanOut  # noqa: PLC0415 -- if needed

        self._outputs = [_output(one, settings, clock) for one in settings.outputs]
        self.store = FanOut(self.store, self._outputs)


def open_storage(settings: Settings, clock: Callable[[], int]) -> Storage:
    """Open the store, its buffer and the outputs. The clock returns milliseconds since 1970-01-01 UTC.

    Raises:
        HubError: see `open_store`; or outputs are configured with a read-only store.
    """
    storage = Storage(_discovered(settings) if settings.store_url.is_discovered else open_store(settings, clock))
    kind, remote = settings.store_url.kind, settings.remote_store
    if kind == "prometheus":
        storage.add_engine(settings)
    if kind != "embedded" and (remote is None or remote.receiver is not None):
        storage.add_buffer(settings, clock)
    if settings.outputs:
        storage.check_writable("outputs", "remove the outputs")
        storage.add_outputs(settings, clock)
    storage.queries = storage.engine or Queries(storage.store, query_limits(settings), settings.query.memory)
    return storage


def _discovered(settings: Settings) -> ManagedStore:
    from metricat_hub.wiring.discovered_prometheus import DiscoveredPrometheus  # noqa: PLC0415 -- imports ssl
    from metricat_hub.wiring.kubernetes import reviews  # noqa: PLC0415 -- as above

    remote = settings.remote_store
    assert remote is not None  # noqa: S101 -- the settings of this kind have it
    return DiscoveredPrometheus(remote.server, reviews("--store.url=prometheus+kubernetes:"), query_limits(settings))


def _output(one: OutputSettings, settings: Settings, clock: Callable[[], int]) -> Output:
    from metricat_hub.remote.delivery import QueueSettings  # noqa: PLC0415 -- if needed
    from metricat_hub.remote.influxdb_sender import InfluxSender  # noqa: PLC0415 -- as above
    from metricat_hub.remote.output import Output  # noqa: PLC0415 -- as above
    from metricat_hub.remote.remote_write_sender import RemoteWriteSender  # noqa: PLC0415 -- as above

    sender = InfluxSender(one.server) if one.kind == "influxdb" else RemoteWriteSender(one.server)
    queue = QueueSettings(settings.data / "outputs" / one.name, one.most_bytes, one.most_age)
    return Output(one.name, sender, queue, clock)
