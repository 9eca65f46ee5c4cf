"""The running operator: what kopf and the watches report becomes keys on a queue, and keys become reconciles."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import structlog
from prometheus_client.core import Metric

from metricat_operator import naming
from metricat_operator.cluster import prometheus_client
from metricat_operator.cluster.apply import Applier, TargetGoneError, TemporaryChildError
from metricat_operator.cluster.client import Client, NotLeaderError
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.cluster.events import Events
from metricat_operator.cluster.lease import Lease
from metricat_operator.cluster.prometheus_poller import PrometheusPoller
from metricat_operator.cluster.watch import ALL_NAMESPACES, RECEIVED_AT, newer
from metricat_operator.controller.reconciler import Reconciler
from metricat_operator.controller.workqueue import WorkQueue
from metricat_operator.facts.model import Manifest
from metricat_operator.metrics.nodes import node_families
from metricat_operator.metrics.own import OperatorMetrics, leader, queue_depth, watch_ages
from metricat_operator.metrics.targets import target_families
from metricat_operator.settings import Settings

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Namespace and name of a target."""

Post = Callable[[Manifest, str, str, str], None]
"""Posts a Kubernetes event: the object, the type (Normal or Warning), the reason, the message."""

_RESYNC_SECONDS = 600.0
_ASKED_AT_ONCE = 4


class Operator:
    """Holds the targets that were seen, and works on them until it is stopped."""

    def __init__(self, settings: Settings, client: Client, lease: Lease, metrics: OperatorMetrics) -> None:
        self._settings = settings
        self._client = client
        self._lease = lease
        lease.gained = self._lead
        self._measures = metrics
        self._targets: dict[Key, Manifest] = {}
        self._post: Post | None = None
        self._queue: WorkQueue[Key] = WorkQueue(self._work, self._failed)
        where = settings.namespaces or ALL_NAMESPACES
        self.cluster = ClusterCache(
            self._enqueue, where, settings.query_namespaces if settings.namespaces else ALL_NAMESPACES
        )
        self._asker: PrometheusPoller | None = None
        self._reconciler: Reconciler | None = None
        metrics.read(self._families)

    async def run(self) -> None:
        """Watch for ever, and work while we lead; the Lease is given back when no worker can write any more."""
        try:
            async with prometheus_client.session() as connections, asyncio.TaskGroup() as group:
                asker = self._asker = PrometheusPoller(connections, self._queue.add)
                asks = WorkQueue(asker.work, self._ask_failed)
                asker.enqueue = asks.add
                applier, events = Applier(self._client, self.cluster), Events(self._client)
                self._reconciler = Reconciler(self._settings, self.cluster, applier, asker, events, self._report)
                group.create_task(self.cluster.run(self._client))
                await self.cluster.synced()
                log.info("watches are in step", kinds=[cache.kind.name for cache in self.cluster.caches])
                group.create_task(self._lease.run(self._client))
                group.create_task(self._queue.run(self._settings.workers))
                group.create_task(asks.run(_ASKED_AT_ONCE))
        finally:
            await self._lease.release(self._client)

    def seen(self, target: Manifest, post: Post) -> None:
        """A target appeared or changed."""
        self._post = post
        key = _key(target)
        known = self._targets.get(key)
        if known is not None and not newer(target, known):
            return  # the echo of what we wrote ourselves
        self._targets[key] = target
        if known is None or _looked_at(known) != _looked_at(target):
            self._queue.add(key)

    def gone(self, target: Manifest) -> None:
        """A target was deleted; its children are collected by their owner references."""
        known = self._targets.get(_key(target))
        if known is not None and known["metadata"]["uid"] == target["metadata"]["uid"]:
            del self._targets[_key(target)]
            if self._asker:
                self._asker.forget(_key(target))

    def unheard(self, seconds: float) -> list[str]:
        """The targets of whose newest state kopf has said nothing for so long, while our own watch has."""
        since = time.monotonic() - seconds
        return [
            "/".join(_key(target))
            for target in self.cluster.targets
            if target["metadata"][RECEIVED_AT] < since
            and (_key(target) not in self._targets or newer(target, self._targets[_key(target)]))
        ]

    def _lead(self) -> None:
        """Look at everything: what happened while another led, or nobody, was left to it."""
        for key in self._targets:
            self._queue.add(key)

    def _enqueue(self, namespace: str, label: str, delay: float) -> None:
        for key in self._targets:
            if (not namespace or key[0] == namespace) and (not label or naming.fit(key[1]) == label):
                self._queue.add(key, delay)

    async def _work(self, key: Key) -> float | None:
        target = self._targets.get(key)
        if target is None or self._reconciler is None or not self._lease.held():
            return None
        with self._measures.duration.time(), structlog.contextvars.bound_contextvars(target="/".join(key)):
            try:
                written = await self._reconciler.reconcile(target)
            except TargetGoneError:
                log.info("the target is gone, unseen by its watch")
                self.gone(target)
                return None
            except NotLeaderError as error:
                log.warning("stopped writing", error=str(error))
                return None
            log.debug("reconciled")
        # A newer state may have come while this one was worked on; it is on the queue and must not be covered up.
        if self._targets.get(key) is target:
            self._targets[key] = written
        return _RESYNC_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 (jitter, not a secret)

    def _failed(self, key: Key, error: Exception, delay: float) -> None:
        self._measures.errors.labels(getattr(error, "reason", type(error).__name__)).inc()
        about = {"target": "/".join(key), "error": str(error), "retry_seconds": round(delay, 1)}
        if isinstance(error, TemporaryChildError):
            log.warning("reconcile is to be tried again", **about)
        else:
            log.error("reconcile failed", **about, exc_info=error)

    def _ask_failed(self, key: Key, error: Exception, _: float) -> None:
        log.error("asking Prometheus failed", target="/".join(key), error=str(error), exc_info=error)

    def _families(self) -> Iterator[Metric]:
        """What is read at each scrape; the rest is counted as it happens."""
        yield from leader(self._lease.held())
        yield from queue_depth(self._queue.overdue)
        yield from watch_ages(time.monotonic(), [(one.kind.name, one.last_heard) for one in self.cluster.caches])
        yield from target_families(self._targets.values())
        yield from node_families(self.cluster.known_nodes(), time.time())

    def _report(self, target: Manifest, condition: Manifest) -> None:
        if self._post:
            level = "Warning" if condition["status"] == "False" else "Normal"
            self._post(target, level, condition["reason"], f"{condition['type']}: {condition['message']}")


def _key(target: Manifest) -> Key:
    return target["metadata"]["namespace"], target["metadata"]["name"]


def _looked_at(target: Manifest) -> tuple[object, ...]:
    """What makes a reconcile worth while when it changes; the status too, where somebody else has written it."""
    metadata = target["metadata"]
    return metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp"), target.get("status")
