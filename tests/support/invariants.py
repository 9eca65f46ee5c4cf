"""Invariants of the operator, checked by a thread while faults happen.

- The managed objects are those that the spec describes: none is missing, different, superfluous (a duplicate), or
  without its target (an orphan).
- A status does not report another state for more than a minute.
- Only the holder of the LeaderFence writes.
- The operator writes an object again only if something changed since its last write.
"""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Self

from metricat_operator import naming
from metricat_operator.api.parse import parse
from metricat_operator.cluster.kinds import CHILDREN, TARGET
from metricat_operator.drift import find_drift
from metricat_operator.manifests import Context, build_children
from metricat_tools.cluster.api import Api, ClusterApiError
from support.harness import eventually
from support.operator_cluster import AGENT_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from metricat_tools.cluster.audit import AuditedRequest, AuditLog
    from support.harness import Manifest

OPERATOR = "system:serviceaccount:monitoring:metricat"
WRITTEN_BY_CANDIDATES = {"coordination.k8s.io/leases", "metricat.dev/leaderfences", "events"}
_FENCE = "metricat.dev/leaderfences"
_TARGET = "metricat.dev/monitoringtargets"
_NODE = "nodes"
LONGEST_SECONDS = 120.0
"""The longest time of a violation. The goal is 60 s for a status, but a busy machine must not fail."""
REACTION_SECONDS = 30.0
"""The longest time from a change to the last of the writes that it causes. The repair of a Service needs two writes."""

Key = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass
class State:
    """The targets and the managed objects at one time."""

    targets: list[Manifest]
    children: dict[Key, Manifest]

    def problems(self) -> dict[str, list[str]]:
        """Return the violated invariants by name, each with the objects."""
        found: dict[str, list[str]] = {}

        def add(what: str, key: Key) -> None:
            found.setdefault(what, []).append("/".join(key))

        owners = {one["metadata"]["uid"] for one in self.targets}
        wanted: dict[Key, Manifest] = {}
        for one in self.targets:
            mine = {_key(child): child for child in desired(one)}
            wanted |= mine
            status = one.get("status", {})
            applied = [c["status"] for c in status.get("conditions", []) if c["type"] == "Applied"]
            wrong = any(self._problem(key, child) for key, child in mine.items())
            current = status.get("observedGeneration") == one["metadata"]["generation"]
            if not status:
                add("missing status", _key(one))
            elif not current or (applied == ["True"] and wrong):
                add("wrong status", _key(one))
        for key, child in self.children.items():
            owned = {owner["uid"] for owner in child["metadata"].get("ownerReferences", [])}
            if key not in wanted:
                add("duplicate" if owned & owners else "orphan", key)
        for key, child in wanted.items():
            if problem := self._problem(key, child):
                add(problem, key)
        return found

    def _problem(self, key: Key, wanted: Manifest) -> str:
        if key not in self.children:
            return "missing"
        return "different" if find_drift(wanted, self.children[key]) else ""


def desired(target: Manifest) -> list[Manifest]:
    """Return the child objects that the target should have, without older targets that own its nodes."""
    parsed = parse(target.get("spec") or {})
    if parsed.spec is None or parsed.errors:
        return []
    metadata = target["metadata"]
    names = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return build_children(Context(**names, spec=parsed.spec, agent_image=AGENT_IMAGE))


def read_state(api: Api) -> State:
    """Read the targets and the managed objects of all namespaces from the API server."""
    found: dict[Key, Manifest] = {}
    for kind in CHILDREN:
        for one in api.get(kind.path())["items"]:
            metadata = one["metadata"]
            ours = metadata.get("labels", {}).get(naming.LABEL_MANAGED_BY) == naming.FIELD_MANAGER
            owned = any(owner["kind"] == naming.KIND for owner in metadata.get("ownerReferences", []))
            if (ours or owned) and "deletionTimestamp" not in metadata:
                made = {"apiVersion": kind.api_version, "kind": kind.name, **one}
                found[_key(made)] = made
    targets = [{"kind": TARGET.name, **one} for one in api.get(TARGET.path())["items"]]
    return State([one for one in targets if "deletionTimestamp" not in one["metadata"]], found)


@dataclass
class Watcher:
    """Reads the state and the audit log again and again in a thread. Records how long each violation lasted."""

    api: Api
    audit: AuditLog
    longest: dict[str, float] = field(default_factory=dict)
    """The longest time of each violation, in seconds."""
    reads: int = 0
    _writes: list[AuditedRequest] = field(default_factory=list)
    _faults: list[tuple[float, float]] = field(default_factory=list)
    """Begin and end of each time in which the operator could not write (Unix time)."""
    _since: dict[tuple[str, str], float] = field(default_factory=dict)
    _excused: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="invariants")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Do not measure while the context is open: the operator cannot write."""
        begin = time.time()
        with self._lock:
            self._excused = True
        try:
            yield
        finally:
            with self._lock:
                self._excused = False
                self._since.clear()
                self._faults.append((begin, time.time()))

    def settle(self, seconds: float) -> float:
        """Wait until no invariant is violated, and return the time in seconds.

        The thread may read only before and after such a time, and would add the violations of both.
        """

        def settled() -> bool:
            try:
                problems = read_state(self.api).problems()
            except ClusterApiError as error:  # the API server initializes the store of a new kind
                raise AssertionError(str(error)) from error
            assert problems == {}, problems
            return True

        began = time.monotonic()
        eventually(settled, seconds)
        with self._lock:
            self._since.clear()
        return time.monotonic() - began

    def writes(self) -> list[AuditedRequest]:
        """Return all requests until now that could have changed something."""
        with self._lock:
            self._writes += [one for one in self.audit.read() if one.writes]
            return list(self._writes)

    def check(self) -> None:
        """Fail if an invariant was violated at any time."""
        assert self.reads, "the watcher has read nothing"
        long = {what: took for what, took in self.longest.items() if took > LONGEST_SECONDS}
        assert long == {}, f"seconds of each violation: {long}"
        writes = self.writes()
        for what, found in (
            ("overlapping", overlapping_writes(writes)),
            ("unneeded", unneeded_writes(writes, self._faults)),
        ):
            assert not found, f"{len(found)} {what} writes: {found[:5]}"

    def _run(self) -> None:
        while not self._done.wait(1.0):
            self.writes()
            try:
                problems = read_state(self.api).problems()
            except (OSError, http.client.HTTPException, ClusterApiError):
                continue  # the API server restarts
            self._note({(what, one) for what, objects in problems.items() for one in objects}, time.monotonic())

    def _note(self, found: Iterable[tuple[str, str]], now: float) -> None:
        with self._lock:
            self.reads += 1
            if self._excused:
                return
            self._since = {one: self._since.get(one, now) for one in found}
            for (what, _), since in self._since.items():
                self.longest[what] = max(self.longest.get(what, 0.0), now - since)


def child_writes(requests: Iterable[AuditedRequest]) -> list[AuditedRequest]:
    """Return the requests of the operator that changed a child object or a status."""
    return [
        one
        for one in requests
        if one.user == OPERATOR and one.writes and one.resource not in WRITTEN_BY_CANDIDATES and one.code < 400
    ]


def overlapping_writes(requests: Iterable[AuditedRequest]) -> list[AuditedRequest]:
    """Return each write by a pod after another pod's, if the pod did not take the LeaderFence in between."""
    requests = sorted((one for one in requests if one.user == OPERATOR), key=lambda one: one.finished)
    taken: dict[str, str] = {}
    found: list[AuditedRequest] = []
    last: AuditedRequest | None = None
    for one in requests:
        if one.resource == _FENCE and one.writes and one.code < 400:
            taken[one.pod] = one.finished
        elif child_writes([one]):
            if last is not None and last.pod != one.pod and taken.get(one.pod, "") < last.received:
                found.append(one)
            last = one
    return found


def unneeded_writes(
    requests: Iterable[AuditedRequest], faults: Iterable[tuple[float, float]] = ()
) -> list[AuditedRequest]:
    """Return each repeated write of an object by the operator for which no change is a reason.

    A child object has a reason if somebody wrote it or the spec of its target. A status has also a reason if somebody
    wrote a child object of the target or a node. During a fault the operator repeats writes whose responses are lost.
    """
    done = sorted((one for one in requests if one.code < 400), key=lambda one: one.received)
    own = child_writes(done)
    changes: dict[str, list[tuple[float, AuditedRequest]]] = {}
    for one in done:
        changes.setdefault(one.namespace, []).append((_time(one.received), one))
    found: list[AuditedRequest] = []
    last: dict[Key, float] = {}
    for one in own:
        key, now = (one.resource, one.namespace, one.name), _time(one.received)
        begin = last.get(key, 0.0) - REACTION_SECONDS
        is_repeated = key in last
        last[key] = now
        if not is_repeated or any(start <= now and end >= begin for start, end in faults):
            continue
        near = [*changes[one.namespace], *(changes.get("", []) if _is_status(one) else [])]
        if not any(begin <= at <= now and cause is not one and _is_reason(cause, one) for at, cause in near):
            found.append(one)
    return found


def _is_reason(cause: AuditedRequest, written: AuditedRequest) -> bool:
    """Return whether a request is a reason for a write of the operator."""
    if _is_status(written):
        others = cause.resource != written.resource or cause.user != OPERATOR
        return cause.resource == _NODE or (others and _belongs(cause, written.name)) or _is_spec(cause, written)
    if cause.resource == _TARGET:
        return _belongs(written, cause.name)
    return cause.user != OPERATOR and (cause.resource, cause.name) == (written.resource, written.name)


def _is_spec(cause: AuditedRequest, status: AuditedRequest) -> bool:
    return cause.resource == _TARGET and cause.name == status.name


def _belongs(request: AuditedRequest, target: str) -> bool:
    """Return whether the object of the request is a child object of the target, by its name."""
    child = naming.child(target)
    return request.name == child or request.name.startswith(f"{child}-") or request.name.endswith(f"-{child}")


def _is_status(request: AuditedRequest) -> bool:
    return request.resource == f"{_TARGET}/status"


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _key(manifest: Manifest) -> Key:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata["name"]
