"""Reader of the API server's audit log, so that a test can count requests and identify each write."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class AuditedRequest:
    """One finished request, or a watch that has started."""

    user: str
    agent: str
    verb: str
    resource: str
    """Group, resource and subresource: `apps/daemonsets`, `nodes/status`. Empty for other paths."""
    namespace: str
    name: str
    code: int
    pod: str = ""
    """The pod whose token the request had."""
    received: str = ""
    finished: str = ""
    """When the API server received the request and completed it: RFC 3339 with microseconds, which sort as text."""

    @property
    def writes(self) -> bool:
        """Whether the request could have changed something. A review (SubjectAccessReview) creates nothing."""
        return self.verb in WRITES and not self.resource.endswith("reviews")


@dataclass
class AuditLog:
    """Reads the requests that were logged since the last call."""

    path: Path
    _offset: int = field(default=0, repr=False)

    def skip(self) -> None:
        """Skip everything that is logged so far."""
        self._offset = self.path.stat().st_size

    def read(self) -> list[AuditedRequest]:
        """Return the requests since the last call, in the order of the log."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._offset += sum(map(len, whole))
        return list(_requests(whole))


def _requests(lines: list[bytes]) -> Iterator[AuditedRequest]:
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        # A watch is logged at its start and at its end: count it once.
        if event["stage"] == "ResponseComplete" and event["verb"] == "watch":
            continue
        target = event.get("objectRef", {})
        parts = (target.get("apiGroup"), target.get("resource"), target.get("subresource"))
        yield AuditedRequest(
            user=event["user"].get("username", ""),
            agent=event.get("userAgent", ""),
            verb=event["verb"],
            resource="/".join(part for part in parts if part),
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            code=event.get("responseStatus", {}).get("code", 0),
            pod=next(iter(event["user"].get("extra", {}).get("authentication.kubernetes.io/pod-name", [])), ""),
            received=event["requestReceivedTimestamp"],
            finished=event["stageTimestamp"],
        )
