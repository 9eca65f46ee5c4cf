"""Invariants of the operator, checked by a thread while faults happen.

- The managed objects are those that the spec describes: none is missing, different, superfluous (a duplicate), or
  without its target (an orphan).
- A status does not report another state for more than a minute.
- Only the holder of the LeaderFence writes.
"""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
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

    from metricat_tools.cluster.audit import AuditedRequest
    from support.harness import Manifest

OPERATOR = "system:serviceaccount:monitoring:metricat"
WRITTEN_BY_CANDIDATES = {"coordination.k8s.io/leases", "metricat.dev/leaderfences", "events"}
_FENCE = "metricat.dev/leaderfences"

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
            if not current or (applied == ["True"] and wrong):
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


def settle(api: Api, seconds: float) -> float:
    """Wait until no invariant is violated, and return the time in seconds."""

    def settled() -> bool:
        try:
            problems = read_state(api).problems()
        except ClusterApiError as error:  # the API server initializes the store of a new kind
            raise AssertionError(str(error)) from error
        assert problems == {}, problems
        return True

    began = time.monotonic()
    eventually(settled, seconds)
    return time.monotonic() - began


@dataclass
class Watcher:
    """Reads the state again and again in a thread. Records how long each violation lasted."""

    api: Api
    longest: dict[str, float] = field(default_factory=dict)
    """The longest time of each violation, in seconds."""
    reads: int = 0
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
        with self._lock:
            self._excused = True
        try:
            yield
        finally:
            with self._lock:
                self._excused = False
                self._since.clear()

    def check(self, seconds: float) -> None:
        """Fail if a violation lasted longer than this."""
        assert self.reads, "the watcher has read nothing"
        assert {what: took for what, took in self.longest.items() if took > seconds} == {}

    def _run(self) -> None:
        while not self._done.wait(1.0):
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


def _key(manifest: Manifest) -> Key:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata["name"]
