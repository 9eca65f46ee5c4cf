"""Rounds of live values. A round is one evaluation of all subscribed metrics, and happens at each interval.

Rounds run only while a client has a subscription. A client that reconnects gets the rounds that it missed.

See docs/design/0035-live-values.md.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from metricat_hub.api.live.statistics import Statistics
from metricat_hub.model.errors import InvalidParameterError, LimitError
from metricat_hub.use_cases import live
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.metric_names import check_known
from metricat_hub.use_cases.restriction import RestrictedEngine, RestrictedReader, namespace_matchers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from metricat_hub.api.query_threads import QueryThreads
    from metricat_hub.model.ports import Reader
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.use_cases.live import Round, Subscription

    Encode = Callable[[Round, Subscription], bytes]

CONNECTIONS = 256
"""The default limit of clients."""
MOST_METRICS = 500
"""The most distinct metrics of all subscriptions, which bounds the time of a round."""
REPLAYED_ROUNDS = 360
"""The most missed rounds that a client gets: an hour with the default interval."""
_BLOCK = 10
"""The most missed rounds that one query evaluates."""
_REPLAY_BYTES = 32 << 20
"""Bytes of memory for encoded missed rounds, which clients with equal subscriptions share."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The encoded data of one round for one client."""

    time: int
    """Milliseconds since 1970-01-01 UTC."""
    data: bytes
    skipped: int
    """Number of rounds that the client missed since the previous delivery."""
    replayed: bool = False
    """Whether the round is a missed one, evaluated later from stored samples."""


class TooManyClientsError(LimitError):
    """The hub already has the maximum number of live clients."""


class Rounds:
    """Evaluates rounds for the subscribed clients. Call all methods in the event loop."""

    def __init__(  # noqa: PLR0913 -- what it needs of the services
        self,
        reader: Reader,
        queries: QueryEngine,
        threads: QueryThreads,
        now: Callable[[], int],
        *,
        interval: int,
        connections: int = CONNECTIONS,
        whole: Rounds | None = None,
    ) -> None:
        """Evaluate a round at each multiple of the interval (milliseconds).

        `whole` is the object for all namespaces, if this object is for some namespaces only. The objects share the
        limits, the thread and the statistics of `whole`.
        """
        self.interval = interval
        self._whole = whole
        self._parts: WeakValueDictionary[frozenset[str], Rounds] = WeakValueDictionary()
        """A separate object for each set of namespaces to which a client is limited."""
        self._reader = reader
        self._queries = queries
        self._threads = threads
        self._now = now
        self._connections = connections
        self._clients = 0
        self._subscriptions: Counter[Subscription] = Counter()
        self._newest = live.Round(0)
        self._changed = asyncio.Event()
        self._evaluating = asyncio.Lock()
        self._replaying = asyncio.Lock()
        self._replayed: OrderedDict[tuple[str, Subscription, int], bytes] = OrderedDict()
        self._replayed_bytes = 0
        self._executor: ThreadPoolExecutor | None = None
        self._task: asyncio.Task[None] | None = None
        self.statistics: Statistics = whole.statistics if whole else Statistics()

    def seen_by(self, namespaces: frozenset[str] | None) -> Rounds:
        """Return the object whose rounds contain only series of these namespaces; None: of all namespaces."""
        if namespaces is None:
            return self
        if (found := self._parts.get(namespaces)) is None:
            matchers = namespace_matchers(namespaces)
            found = self._parts[namespaces] = Rounds(
                RestrictedReader(self._reader, matchers),
                RestrictedEngine(self._queries, matchers),
                self._threads,
                self._now,
                interval=self.interval,
                whole=self,
            )
        return found

    @property
    def is_running(self) -> bool:
        """Whether the evaluation loop is running."""
        return self._task is not None and not self._task.done()

    def connect(self) -> None:
        """Count a client; raise `TooManyClientsError` above the limit."""
        if self._whole:
            self._whole.connect()
            return
        if self._clients >= self._connections:
            raise TooManyClientsError(
                f"{self._clients} live clients are connected, which is the limit; close a connection, or, if the hub "
                "has CPU to "
                "spare, raise --live.max-connections"
            )
        self._clients += 1
        self.statistics.clients = self._clients

    def disconnect(self) -> None:
        """Stop counting a client."""
        if self._whole:
            self._whole.disconnect()
            return
        self._clients -= 1
        self.statistics.clients = self._clients

    async def check(self, wanted: Subscription, since: int | None) -> None:
        """Check a subscription; raise an error if the hub cannot serve it.

        Raises:
            UnknownMetricError: no series has one of the names.
            InvalidQueryError: one of the names is not a metric name.
            InvalidParameterError: `since` is in the future.
            LimitError: the subscriptions of all clients have too many metrics.
        """
        now = self._now()
        if since is not None and since > now + self.interval:
            raise InvalidParameterError(
                "since", "it is in the future; send the time of the last round that you received"
            )
        whole = self._whole or self
        others = sum(len(one.metrics()) for one in (whole, *whole._parts.values()) if one is not self)  # noqa: SLF001 -- the same class
        count = others + len(self.metrics() | set(wanted.metrics))
        if count > MOST_METRICS:
            raise LimitError(
                f"all clients together would subscribe to {count} metrics, but the limit is {MOST_METRICS}; "
                "subscribe to fewer metrics"
            )
        await self._threads.run_detached(lambda _: check_known(self._reader, wanted.metrics, now))

    def metrics(self) -> set[str]:
        """Return the names of the metrics of all subscriptions."""
        return {name for one in self._subscriptions for name in one.metrics}

    async def deliveries(
        self, wanted: Subscription, since: int | None, form: str, encode: Encode
    ) -> AsyncGenerator[Delivery]:
        """Yield the data of each round until the caller closes the iterator.

        Without `since`, the first delivery is the newest round. With `since`, the missed rounds after this time are
        first. A caller that is too slow skips rounds: it gets the newest round next, with the number of skipped ones.

        Args:
            wanted: the metrics and nodes of the subscription.
            since: the time of the last round that the client has, in milliseconds.
            form: the name of the format. Clients with the same format share encoded data.
            encode: encodes the values of a round in this format.
        """
        self._subscriptions[wanted] += 1
        try:
            self._start()
            number = self._newest.number - 1
            last = None
            if since is not None:
                last = since // self.interval * self.interval
                async for delivery in self._missed(wanted, since, form, encode):
                    last = delivery.time
                    yield delivery
                number = self._newest.number - (1 if self._newest.time > since else 0)
            while True:
                one = await self._after(number)
                # By time: a busy hub may have evaluated fewer rounds.
                skipped = 0 if last is None else max(0, (one.time - last) // self.interval - 1)
                number, last = one.number, one.time
                self.statistics.skipped += skipped
                if not one.covers(wanted):
                    await self._fill(one, wanted)
                data = await self._encoded(one, wanted, form, encode)
                self.statistics.delivered += 1
                yield Delivery(one.time, data, skipped)
        finally:
            self._subscriptions[wanted] -= 1
            self._subscriptions += Counter()  # removes zeros

    async def _after(self, number: int) -> Round:
        """Return the newest round once its number is above the given one."""
        while self._newest.number <= number:
            await self._changed.wait()
        return self._newest

    def _start(self) -> None:
        """Evaluate rounds from now on, if this does not happen already."""
        if self.is_running:
            return
        self._publish(live.Round(self._now() // self.interval * self.interval))
        self._task = asyncio.get_running_loop().create_task(self._run(), name="live rounds")

    def _publish(self, one: Round) -> None:
        one.number = self._newest.number + 1
        self._newest = one
        self._changed.set()
        self._changed = asyncio.Event()

    async def _run(self) -> None:
        """Evaluate and publish a round at each multiple of the interval, until no client subscribes."""
        while self._subscriptions:
            now = self._now()
            at = (now // self.interval + 1) * self.interval
            await asyncio.sleep((at - now) / 1000)
            if self._now() < at:  # the clock was set back, or the timer is early
                continue
            started = time.perf_counter()
            one = live.Round(at)
            try:
                await self._fill(one, *self._subscriptions)
            except Exception:  # noqa: BLE001 -- the next round may succeed
                _LOG.exception("the evaluation of live values failed; the next one runs at the next interval")
                continue
            self.statistics.rounds += 1
            self.statistics.seconds += time.perf_counter() - started
            self._publish(one)

    async def _fill(self, one: Round, *wanted: Subscription) -> None:
        """Evaluate the metrics of some subscriptions that a round lacks.

        Callers that wait for the same metrics share the result.
        """
        async with self._evaluating:
            missing: dict[str, frozenset[str] | None] = {}
            for subscription in wanted:
                for name in subscription.metrics:
                    table = one.tables.get(name)
                    if table and table.covers(subscription.nodes):
                        continue
                    before = missing.get(name, table.nodes if table else frozenset())
                    missing[name] = _union(before, subscription.nodes)
            if not missing:
                return
            cancellation = Cancellation(max(self.interval / 1000, 1), remedy="subscribe to fewer metrics or nodes")
            work = asyncio.get_running_loop().run_in_executor(
                self._thread(), live.evaluate, self._queries, missing, one.time, self.interval, cancellation
            )
            try:
                one.tables.update(await work)
            finally:
                cancellation.cancel()

    async def _encoded(self, one: Round, wanted: Subscription, form: str, encode: Encode) -> bytes:
        """Return the data of a subscription, encoded once for all its clients, in the thread of the rounds."""
        key = form, wanted
        if key not in one.encoded:
            async with self._evaluating:
                if key not in one.encoded:
                    loop = asyncio.get_running_loop()
                    one.encoded[key] = await loop.run_in_executor(self._thread(), encode, one, wanted)
        return one.encoded[key]

    def _thread(self) -> ThreadPoolExecutor:
        """Return the executor of the rounds: one thread, so that they cannot take all processors."""
        if self._whole:
            return self._whole._thread()  # noqa: SLF001 -- the same class
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="live")
        return self._executor

    async def _missed(self, wanted: Subscription, since: int, form: str, encode: Encode) -> AsyncIterator[Delivery]:
        """Yield the rounds between a time and the newest round, in order; the oldest ones may be skipped."""
        interval = self.interval
        at = since // interval * interval
        while (newest := self._newest.time) - at > interval:
            skipped = max(0, (newest - at) // interval - 1 - REPLAYED_ROUNDS)
            at += (skipped + 1) * interval
            data = self._replayed.get((form, wanted, at))
            if data is None:
                data = await self._replay(wanted, at, form, encode)
            self.statistics.skipped += skipped
            self.statistics.replayed += 1
            yield Delivery(at, data, skipped, replayed=True)

    async def _replay(self, wanted: Subscription, at: int, form: str, encode: Encode) -> bytes:
        """Return the data of a round from stored samples; evaluate and keep the rounds after it too."""
        async with self._replaying:
            if (data := self._replayed.get((form, wanted, at))) is not None:
                return data
            interval = self.interval
            end = min(at + (_BLOCK - 1) * interval, max(at, self._newest.time - interval))
            found = await self._threads.run_detached(
                lambda cancellation: {
                    one.time: encode(one, wanted)
                    for one in live.replay(self._queries, wanted, at, end, interval, cancellation)
                }
            )
            for key, data in found.items():
                if (form, wanted, key) not in self._replayed:
                    self._replayed[form, wanted, key] = data
                    self._replayed_bytes += len(data)
            while self._replayed_bytes > _REPLAY_BYTES:
                self._replayed_bytes -= len(self._replayed.popitem(last=False)[1])
            return found[at]


def _union(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Return the nodes of both; None means all."""
    return None if one is None or other is None else one | other
