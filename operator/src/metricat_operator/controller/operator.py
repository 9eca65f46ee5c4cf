"""The running operator: kopf and the watches put keys on a queue; workers reconcile the targets of these keys."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import structlog
from prometheus_client.core import Metric

from metricat_operator import naming
from metricat_operator.cluster import prometheus_client
from metricat_operator.cluster.apply import Applier, ClaimLostError, TargetGoneError, TemporaryChildError
from metricat_operator.cluster.client import Client, NotLeaderError
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.cluster.events import Events
from metricat_operator.cluster.lease import Lease
from metricat_operator.cluster.other_operators import OtherOperators
from metricat_operator.cluster.prometheus_poller import PrometheusPoller
from metricat_operator.cluster.watch import ALL_NAMESPACES, RECEIVED_AT, newer, with_unknown_version
from metricat_operator.conditions import Condition
from metricat_operator.controller.reconciler import Reconciler
from metricat_operator.controller.workqueue import WorkQueue
from metricat_operator.facts.model import Manifest, OperatorClaim
from metricat_operator.metrics.nodes import node_families
from metricat_operator.metrics.own import (
    OperatorMetrics,
    asyncio_tasks,
    leader,
    open_watches,
    watch_activity_ages,
    workqueue_depth,
)
from metricat_operator.metrics.targets import left_families, target_families
from metricat_operator.settings import Settings
from metricat_operator.status import Uncovered
from metricat_operator.status.conditions import claimed

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Namespace and name of a target."""

Post = Callable[[Manifest, str, str, str], None]
"""Posts a Kubernetes event. Arguments: object, type (Normal or Warning), reason, message."""

_RESYNC_SECONDS = 600.0
_CONCURRENT_POLLS = 4
_CLAIM_LOST_SECONDS = 1.0
_NOT_LEADING_SECONDS = 30.0
"""The time after which a replica that may not write tries a target again, if `_on_leading` has not done so before."""


class Operator:
    """Holds all known targets and reconciles them until it is stopped."""

    def __init__(self, settings: Settings, client: Client, lease: Lease, metrics: OperatorMetrics) -> None:
        self._settings = settings
        self._client = client
        self._lease = lease
        self._measures = metrics
        self._targets: dict[Key, Manifest] = {}
        self._left: dict[Key, OperatorClaim] = {}
        self._uncovered: dict[Key, list[tuple[str, str, str]]] = {}
        """Node, pool and reason of all uncovered nodes of each target whose status does not list all of them."""
        self._post: Post | None = None
        self._errors: dict[Key, str] = {}
        self._kopf_reported = time.monotonic()
        self._queue: WorkQueue[Key] = WorkQueue(self._work, self._failed)
        where = settings.namespaces or ALL_NAMESPACES
        self.cluster = ClusterCache(
            self._enqueue,
            where,
            settings.query_namespaces if settings.namespaces else ALL_NAMESPACES,
            restored=self._on_restored,
            target_deleted=self._forget,
        )
        self._poller: PrometheusPoller | None = None
        self._reconciler: Reconciler | None = None
        metrics.collect_families(self._families)

    async def run(self) -> None:
        """Watch until cancelled and reconcile while this replica leads. At the end, release the Lease."""
        try:
            async with prometheus_client.session() as connections, asyncio.TaskGroup() as group:
                poller = PrometheusPoller(connections, self._queue.add, lambda key: polls.add(key))  # noqa: PLW0108 (polls is assigned below)
                polls = WorkQueue(poller.work, self._poll_failed)
                self._poller = poller
                applier, events = Applier(self._client, self.cluster), Events(self._client)
                others = OtherOperators(
                    "/".join(self._settings.lease),
                    self._client,
                    self.cluster.fences,
                    lambda: self._enqueue("", "", 0.0),
                )
                self._reconciler = Reconciler(
                    self._settings,
                    self.cluster,
                    applier,
                    poller,
                    events,
                    self._report,
                    others,
                    self._on_claim,
                    self._on_uncovered,
                )
                group.create_task(self.cluster.run(self._client))
                await self.cluster.synced()
                log.info("caches synced", kinds=[cache.kind.name for cache in self.cluster.caches])
                group.create_task(self._lease.run(self._client, self._on_leading))
                group.create_task(self._queue.run(self._settings.workers))
                group.create_task(polls.run(_CONCURRENT_POLLS))
                group.create_task(others.run())
        finally:
            await self._lease.release(self._client)

    def on_changed(self, target: Manifest, post: Post) -> None:
        """Handle a target that was created or changed."""
        self._post = post
        self._kopf_reported = time.monotonic()
        key = _key(target)
        known = self._targets.get(key)
        if known is not None and not newer(target, known):
            return  # the event of our own write
        self._targets[key] = target
        if known is None or _trigger_fields(known) != _trigger_fields(target):
            self._queue.add(key)

    def on_deleted(self, target: Manifest) -> None:
        """Handle the deletion of a target. The garbage collector deletes its children by their owner references."""
        self._kopf_reported = time.monotonic()
        self._forget(target)

    def _forget(self, target: Manifest) -> None:
        """Remove the target, unless another one has its name now."""
        known = self._targets.get(_key(target))
        if known is not None and known["metadata"]["uid"] == target["metadata"]["uid"]:
            del self._targets[_key(target)]
            self._errors.pop(_key(target), None)
            self._left.pop(_key(target), None)
            self._uncovered.pop(_key(target), None)
            if self._reconciler:
                self._reconciler.forget(target["metadata"]["uid"])
            if self._poller:
                self._poller.forget(_key(target))

    def missed_by_kopf(self, seconds: float) -> list[str]:
        """Return the targets whose newest state our watch received at least `seconds` ago and kopf did not report."""
        since = time.monotonic() - seconds
        return [
            "/".join(_key(target))
            for target in self.cluster.targets
            if self.cluster.watches(target["metadata"]["namespace"])
            and target["metadata"][RECEIVED_AT] < since
            and (_key(target) not in self._targets or newer(target, self._targets[_key(target)]))
        ]

    def kopf_stalled(self, seconds: float) -> list[str]:
        """Return the targets that kopf has missed for `seconds`, if it has reported no target during that time."""
        return self.missed_by_kopf(seconds) if self._kopf_reported < time.monotonic() - seconds else []

    def troubles(self, seconds: float) -> list[str]:
        """Return the operations that have failed for at least `seconds`, each with its last error."""
        watches = (cache.trouble(seconds) for cache in self.cluster.caches)
        found = (self._lease.trouble(seconds), self._client.write_trouble(seconds), *watches)
        return list(dict.fromkeys(filter(None, found)))

    def _on_restored(self) -> None:
        """Let older states of the targets replace the known ones: the API server's store was restored from a backup."""
        for key, target in self._targets.items():
            self._targets[key] = with_unknown_version(target)

    def _on_leading(self) -> None:
        """Enqueue all targets: a replica that does not lead handles no changes."""
        self._left.clear()
        self._uncovered.clear()
        for key in self._targets:
            self._queue.add(key)

    def _enqueue(self, namespace: str, label: str, delay: float) -> None:
        for key in self._targets:
            if (not namespace or key[0] == namespace) and (not label or naming.fit(key[1]) == label):
                self._queue.add(key, delay)

    async def _work(self, key: Key) -> float | None:
        target = self._targets.get(key)
        if target is None:
            return None
        if self._reconciler is None or not self._lease.held():
            return _NOT_LEADING_SECONDS
        with self._measures.duration.time(), structlog.contextvars.bound_contextvars(target="/".join(key)):
            try:
                written = await self._reconciler.reconcile(target)
            except TargetGoneError:
                log.info("target no longer exists, and no delete event has arrived")
                self.on_deleted(target)
                return None
            except ClaimLostError as error:
                log.info("another operator claimed the target", operator=str(error))
                return _CLAIM_LOST_SECONDS
            except NotLeaderError as error:
                log.warning("stopped writing: this replica is not the leader", error=str(error))
                return _NOT_LEADING_SECONDS
            log.debug("reconciled")
        self._errors.pop(key, None)
        # Keep a newer state that arrived during the reconcile: it is on the queue already.
        if self._targets.get(key) is target:
            self._targets[key] = written
            if written["metadata"].get("generation") != target["metadata"].get("generation"):
                self._queue.add(key)  # the response has a new spec, so the event of the new spec is not newer
        return _RESYNC_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 (jitter, not a secret)

    def _failed(self, key: Key, error: Exception, delay: float) -> None:
        self._measures.errors.labels(getattr(error, "reason", type(error).__name__)).inc()
        about = {"target": "/".join(key), "error": str(error), "retry_seconds": round(delay, 1)}
        repeated, self._errors[key] = self._errors.get(key) == str(error), str(error)
        if repeated:
            log.debug("reconcile failed again", **about)
        elif isinstance(error, TemporaryChildError):
            log.warning("reconcile failed temporarily", **about)
        else:
            log.error("reconcile failed", **about, exc_info=error)

    def _poll_failed(self, key: Key, error: Exception, _: float) -> None:
        log.error("querying Prometheus failed", target="/".join(key), error=str(error), exc_info=error)

    def _families(self) -> Iterator[Metric]:
        """Yield the families that are computed at each scrape."""
        yield from leader(self._lease.held())
        yield from workqueue_depth(self._queue.overdue)
        yield from asyncio_tasks(len(asyncio.all_tasks()))
        yield from open_watches(self._client.open_watches)
        yield from watch_activity_ages(
            time.monotonic(), [(one.kind.name, one.last_activity) for one in self.cluster.caches]
        )
        yield from target_families(self._targets.values(), self._uncovered if self._lease.held() else {})
        yield from left_families(self._left if self._lease.held() else {})
        yield from node_families(self.cluster.all_nodes(), time.time())

    def _on_claim(self, target: Manifest, claim: OperatorClaim) -> None:
        """Report once that this operator leaves a target to another one."""
        before = self._left.pop(_key(target), None)
        if claim.mine:
            return
        self._left[_key(target)] = claim
        self._uncovered.pop(_key(target), None)
        if before != claim:
            log.warning("left the target to another operator", operator=claim.operator, reason=str(claim.reason))
            self._report(target, claimed(target, claim))

    def _on_uncovered(self, target: Manifest, nodes: list[Uncovered]) -> None:
        """Keep the nodes for the metrics, or remove those kept before."""
        self._uncovered.pop(_key(target), None)
        if nodes:
            self._uncovered[_key(target)] = [(node.node, node.pool, str(node.reason)) for node in nodes]

    def _report(self, target: Manifest, condition: Condition) -> None:
        if self._post:
            level = "Warning" if condition.holds is False else "Normal"
            self._post(target, level, str(condition.reason), f"{condition.type}: {condition.message}")


def _key(target: Manifest) -> Key:
    return target["metadata"]["namespace"], target["metadata"]["name"]


def _trigger_fields(target: Manifest) -> tuple[object, ...]:
    """Return the fields whose change triggers a reconcile, the status included: another client may have written it."""
    metadata = target["metadata"]
    named = (metadata.get("annotations") or {}).get(naming.OPERATOR_ANNOTATION)
    return metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp"), named, target.get("status")
