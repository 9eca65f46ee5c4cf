"""Caches of the cluster's objects, kept up to date by watches.

Each object is trimmed to the fields in use before it is stored. A node of realistic size has 20 kB, of which the
operator uses a few hundred bytes. Objects that are needed in full are stored compressed.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from metricat_operator.cluster.backoff import jittered
from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import Kind
from metricat_operator.cluster.outage import Outage
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Manifest

log = structlog.get_logger(__name__)

_FIRST_RETRY = 0.5
_LAST_RETRY = 6.0
_UNSERVED_RETRY = 5.0
_NORMAL = (408, 410)
"""Statuses of a single failure in normal operation: a watch without bookmarks, and an expired resource version."""
_SHORT_SECONDS = 1.0
"""Least time between the starts of two streams. The API server ends a stream after minutes."""
_SETTLED_SECONDS = 3.0
"""Time after which a stream without events counts as working."""

RECEIVED_AT = "receivedAt"
"""Key in the metadata under which a trim function may store the arrival time of a state (monotonic clock)."""

_UNKNOWN_VERSION = "unknown"
"""A resource version that every other one replaces."""

ALL_NAMESPACES = ("",)
"""All namespaces, with one watch."""

Trim = Callable[[Manifest], Manifest]
Changed = Callable[[Manifest], None]


def ignore_restore() -> None:
    """Do nothing when the store is restored."""


@dataclass
class Cache:
    """The objects of one kind, by namespace and name, of all or of some namespaces.

    `changed` is called with each object that is created, changed or deleted. It is called with an empty object when the
    API server starts or stops serving the kind: then anything may have changed. If labels or owners changed, it is also
    called with the previous state, which names the previous owner. `restored` is called when the API server's store was
    restored to an older state.
    """

    kind: Kind
    changed: Changed
    trim: Trim
    labels: str = ""
    fields: str = ""
    namespaces: tuple[str, ...] = ALL_NAMESPACES
    served: bool = True
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    revision: int = 0
    """Incremented at each change of a stored object; a heartbeat of a node changes nothing that is stored."""
    restored: Callable[[], None] = ignore_restore
    _last_activity: dict[str, float] = field(default_factory=dict)
    _outages: dict[str, Outage] = field(default_factory=dict)
    _latest: dict[str, str] = field(default_factory=dict)
    """The latest resource version that each watch received."""
    _listed: set[str] = field(default_factory=set)
    _objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    _streaming: dict[str, asyncio.Timeout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the activity time of each watch now."""
        self._last_activity = dict.fromkeys(self.namespaces, time.monotonic())
        for namespace in self.namespaces:
            place = f" in {namespace}" if namespace else ""
            self._outages[namespace] = Outage(f"list or watch {self.kind.name}{place}")

    def trouble(self, seconds: float) -> str:
        """Return the error of a watch that has failed for at least `seconds`; an empty text if none has."""
        return next(filter(None, (one.lasting(seconds) for one in self._outages.values())), "")

    @property
    def last_activity(self) -> float:
        """Time of the last activity of the watch (monotonic clock); of several watches, the oldest."""
        return min(self._last_activity.values())

    def __iter__(self) -> Iterator[Manifest]:
        """Iterate over the objects, in no particular order."""
        return iter(tuple(self._objects.values()))

    def get(self, namespace: str, name: str) -> Manifest:
        """Return the object; an empty one if it does not exist."""
        return self._objects.get((namespace, name), {})

    def put(self, manifest: Manifest) -> None:
        """Store the result of our own write ahead of the watch; an older state never replaces a newer one."""
        self._store(_stripped(manifest, self.kind))

    def relist(self) -> None:
        """List again now: a request showed that the kind is not served, and its watch may detect this late."""
        for stream in self._streaming.values():
            stream.reschedule(asyncio.get_running_loop().time())

    async def run(self, client: Client) -> None:
        """Watch the kind until cancelled, regardless of the API server's errors."""
        async with asyncio.TaskGroup() as group:
            for namespace in self.namespaces:
                group.create_task(self._run(client, namespace))

    async def _run(self, client: Client, namespace: str) -> None:
        outage = self._outages[namespace]
        while True:
            try:
                version = await self._relist(client, namespace)
                settled = asyncio.get_running_loop().call_later(_SETTLED_SECONDS, outage.ended)
                try:
                    with contextlib.suppress(TimeoutError):
                        await self._follow(client, namespace, version)
                finally:
                    settled.cancel()
            except ApiError as error:
                delay = self._failed(error, outage)
            except Exception as error:
                # An error in one object must not end the watch of all others.
                if not outage.failures:
                    log.exception("cannot handle the objects of a watch; listing them again", kind=self.kind.name)
                outage.failed(f"{type(error).__name__}: {error}")
                delay = jittered(outage.failures, _FIRST_RETRY, _LAST_RETRY)
            else:
                continue
            self._last_activity[namespace] = time.monotonic()  # a response or a timeout: the watch itself is active
            await asyncio.sleep(delay)

    async def _follow(self, client: Client, namespace: str, version: str) -> None:
        """Stream until an error, or until `relist` ends the stream with a `TimeoutError`.

        Raises:
            ApiError: among others, for a stream that ends at once without an event. A proxy may end each one so, and
                the cache would stay out of date.
        """
        try:
            async with asyncio.timeout(None) as self._streaming[namespace]:
                while True:
                    began, before = time.monotonic(), version
                    version = await self._stream(client, namespace, version)
                    left = _SHORT_SECONDS - (time.monotonic() - began)
                    if left > 0 and version == before:
                        raise ApiError(
                            0,
                            Reason.UNREACHABLE,
                            "the stream ended at once. Check the proxies in front of the API server",
                        )
                    await asyncio.sleep(max(left, 0))
        finally:
            del self._streaming[namespace]

    def _failed(self, error: ApiError, outage: Outage) -> float:
        """Handle a failed list or watch and return the delay before the next attempt, in seconds."""
        if error.status == 404 and self.kind.optional:
            outage.ended()
            self._unserve()
            return _UNSERVED_RETRY * random.uniform(0.8, 1.2)  # noqa: S311 (jitter, not a secret)
        outage.failed(str(error), expected=error.status in _NORMAL, status=error.status)
        return max(error.retry_after, jittered(outage.failures, _FIRST_RETRY, _LAST_RETRY))

    def _unserve(self) -> None:
        if self.served:
            self.served = False
            self._objects.clear()
            self.revision += 1
            log.info("kind is not served", kind=self.kind.name)
            self.changed({})
        self.synced.set()

    async def _relist(self, client: Client, namespace: str) -> str:
        seen, version = set(), ""
        pages = client.pages(self.kind, namespace=namespace, labels=self.labels, fields=self.fields)
        async for items, version in pages:
            self._last_activity[namespace] = time.monotonic()
            self._detect_restore(namespace, version)
            if not self.served:
                self.served = True
                log.info("kind is served", kind=self.kind.name)
                self.changed({})
            while items:
                kept = _stripped(items.pop(), self.kind)
                seen.add(_key(kept))
                self._store(kept)
        for key in [key for key in self._objects if key not in seen and namespace in {"", key[0]}]:
            self.revision += 1
            self.changed(self._objects.pop(key))
        self._listed.add(namespace)
        if self._listed.issuperset(self.namespaces):
            self.synced.set()
        return version

    async def _stream(self, client: Client, namespace: str, version: str) -> str:
        events = client.watch(self.kind, version, namespace=namespace, labels=self.labels, fields=self.fields)
        async for event_type, manifest in events:
            self._last_activity[namespace] = time.monotonic()
            self._outages[namespace].ended()
            version = manifest["metadata"]["resourceVersion"]
            if _older(version, self._latest.get(namespace, "")):
                last = self._latest[namespace]
                raise ApiError(
                    410, "Expired", f"the resource version of {self.kind.name} went back from {last} to {version}"
                )
            self._latest[namespace] = version
            if event_type == "BOOKMARK":
                continue
            kept = _stripped(manifest, self.kind)
            if event_type == "DELETED":
                self._remove(kept)
            else:
                self._store(kept)
        self._last_activity[namespace] = time.monotonic()  # the API server ended the stream
        return version

    def _detect_restore(self, namespace: str, version: str) -> None:
        """Forget the resource versions of all objects if the list is older than what the watch received before.

        A list is never older than earlier responses, unless an administrator restored etcd from a backup. Then the
        versions of the cached objects are too high, and no event would ever replace these objects.
        """
        if _older(version, self._latest.get(namespace, "")):
            log.warning("the API server's store was restored to an older state", kind=self.kind.name, version=version)
            for key, kept in self._objects.items():
                if namespace in {"", key[0]}:
                    self._objects[key] = with_unknown_version(kept)
            self.restored()
        self._latest[namespace] = version

    def _remove(self, manifest: Manifest) -> None:
        before = self._objects.get(_key(manifest))
        if before is None or newer(manifest, before):  # otherwise the cache already holds a newer object of this name
            self._objects.pop(_key(manifest), None)
            self.revision += 1
            self._notify(before, self.trim(manifest))

    def _store(self, manifest: Manifest) -> None:
        kept = self.trim(manifest)
        before = self._objects.get(_key(kept))
        if before is not None and not newer(kept, before):
            return
        self._objects[_key(kept)] = kept
        if before is None or _content(before) != _content(kept):
            self.revision += 1
            self._notify(before, kept)

    def _notify(self, before: Manifest | None, now: Manifest) -> None:
        self.changed(now)
        if before is not None and _owners(before) != _owners(now):
            self.changed(before)


def kept_metadata(manifest: Manifest) -> Manifest:
    """Return the metadata, trimmed to the fields that caches and facts use."""
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "deletionTimestamp")
    return {key: manifest["metadata"][key] for key in kept if key in manifest["metadata"]}


def _stripped(manifest: Manifest, kind: Kind) -> Manifest:
    """Add kind and apiVersion, which items of a list lack."""
    return {"apiVersion": kind.api_version, "kind": kind.name, **manifest}


def _key(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def with_unknown_version(manifest: Manifest) -> Manifest:
    """Return the object with a resource version that every other one replaces."""
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": _UNKNOWN_VERSION}}


def _older(version: str, latest: str) -> bool:
    return version.isdecimal() and latest.isdecimal() and int(version) < int(latest)


def newer(manifest: Manifest, before: Manifest) -> bool:
    """Return whether the state is newer, or is another object of the same name.

    Resource versions of one kind are numbers that can be compared (kubernetes.io/docs/reference/using-api/api-concepts,
    since 1.35; in practice with every etcd before).
    """
    new, old = manifest["metadata"], before["metadata"]
    if new.get("uid") != old.get("uid") or not (_version(new).isdecimal() and _version(old).isdecimal()):
        return _version(new) != _version(old)
    return int(_version(new)) > int(_version(old))


def _version(metadata: Manifest) -> str:
    return str(metadata.get("resourceVersion", ""))


def _owners(manifest: Manifest) -> tuple[object, object]:
    """Return the labels and owner references of an object, which determine its target."""
    return manifest["metadata"].get("labels") or {}, manifest["metadata"].get("ownerReferences") or []


def _content(manifest: Manifest) -> Mapping[str, object]:
    """Return the object without the fields that change at every write."""
    metadata = {
        key: value for key, value in manifest["metadata"].items() if key not in {"resourceVersion", RECEIVED_AT}
    }
    return {**manifest, "metadata": metadata}
