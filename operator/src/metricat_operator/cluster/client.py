"""Typed client of the API server on top of `kubernetes.aio`: a few verbs, plain JSON, and errors with remedies."""

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from metricat_operator.cluster.kinds import Kind
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Manifest
from metricat_operator.naming import FENCED, FIELD_MANAGER

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCH_SECONDS = 300
_WATCH_SECONDS_WITHOUT_BOOKMARKS = 60
# The API server sends a bookmark every minute: a longer time without data means a dead connection.
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=10, sock_read=75)
_PAGE = 50
_ESCAPED = re.compile("[\x7f-\uffff]")
_JSON = "application/json"
_METHODS = {
    **dict.fromkeys(("get", "list", "watch"), "GET"),
    **dict.fromkeys(("apply", "patch"), "PATCH"),
    "create": "POST",
    "delete": "DELETE",
    "update": "PUT",
}
_LEADER_VERBS = frozenset({"apply", "patch", "delete"})
"""Verbs for which the client must be the leader; Leases and reviews use create and update."""

OnRequest = Callable[[str, int], None]
"""Called with the verb of each request and the HTTP status of its response, 0 without a response."""


def _ignore_request(_verb: str, _status: int) -> None:
    """Ignore the request."""


class LeaderCheck(Protocol):
    """The right of this process to write, held by the leader."""

    def held(self) -> bool:
        """Return whether this process may write now."""

    def lost(self) -> None:
        """Handle a refusal by the API server: another process is the leader."""


class _AlwaysLeader:
    def held(self) -> bool:
        return True

    def lost(self) -> None:
        """Ignore it: this process needs no permit."""


_ALWAYS_LEADER = _AlwaysLeader()


class NotLeaderError(Exception):
    """The write was not made: another replica is the leader."""


class ApiError(Exception):
    """The API server refused a request or did not respond.

    Attributes:
        status: HTTP status; 0 without a response.
        reason: machine-readable, as in `metav1.Status.reason`.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without a change by a user."""
        return self.status in {0, 408, 409, 429} or self.status >= 500


class Client:
    """Client of the API server; one per process. `close` ends it."""

    def __init__(
        self,
        configuration: Configuration,
        on_request: OnRequest = _ignore_request,
        permit: LeaderCheck = _ALWAYS_LEADER,
    ) -> None:
        self._on_request = on_request
        self._permit = permit
        self._api = ApiClient(configuration)
        self._dynamic = DynamicClient(self._api)

    @classmethod
    async def connect(cls, on_request: OnRequest = _ignore_request, permit: LeaderCheck = _ALWAYS_LEADER) -> Self:
        """Connect with the pod's ServiceAccount or, outside a pod, with the kubeconfig (`$KUBECONFIG`).

        Apply, patch and delete require the permit when they are sent. Without it, or if the API server refuses them for
        lack of it, they raise `NotLeaderError`.
        """
        configuration = Configuration()
        try:
            config.load_incluster_config(configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        return cls(configuration, on_request, permit)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def pages(
        self, kind: Kind, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[Manifest], str]]:
        """Yield all objects of a kind by pages, each with the resource version to watch from, that of the first page.

        Empty each page while you read it: one page of a large cluster is large already, and two would be in memory.
        """
        token = None
        while True:
            async with self._request(
                "list",
                kind.path(namespace),
                label_selector=labels or None,
                field_selector=fields or None,
                limit=_PAGE,
                _continue=token,
            ) as response:
                page = json.loads(await response.read())
            token = page["metadata"].get("continue")
            yield page.pop("items"), page["metadata"]["resourceVersion"]
            if not token:
                return

    async def watch(
        self, kind: Kind, resource_version: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> AsyncIterator[Manifest]:
        """Yield events and bookmarks since a resource version, until the API server ends the stream after minutes."""
        query = [("allowWatchBookmarks", "true")]
        async with self._request(
            "watch",
            kind.path(namespace),
            label_selector=labels or None,
            field_selector=fields or None,
            resource_version=resource_version,
            timeout_seconds=_WATCH_SECONDS if kind.bookmarks else _WATCH_SECONDS_WITHOUT_BOOKMARKS,
            watch="true",
            query_params=query,
            _request_timeout=_WATCH_TIMEOUT,
        ) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _error_of(event["object"])
                    yield event

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Return one object."""
        return await self._json("get", kind.path(namespace, name))

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object or request a review (TokenReview, SubjectAccessReview)."""
        namespace = manifest.get("metadata", {}).get("namespace", "")
        return await self._json("create", kind.path(namespace), body=manifest, field_manager=FIELD_MANAGER)

    async def update(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Replace an object if its resource version is still that of the manifest."""
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._json("update", path, body=manifest, field_manager=FIELD_MANAGER)

    async def apply(
        self, kind: Kind, manifest: Manifest, *, force: bool, subresource: str = "", manager: str = FIELD_MANAGER
    ) -> Manifest:
        """Apply server-side with our field manager and return the current object."""
        metadata = manifest["metadata"]
        return await self._json(
            "apply",
            kind.path(metadata.get("namespace", ""), metadata["name"], subresource),
            body=as_yaml(manifest),
            content_type="application/apply-patch+yaml; charset=utf-8",  # without charset, the library dumps it twice
            field_manager=manager,
            force_conflicts=str(force).lower(),
        )

    async def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Manifest], *, subresource: str = ""
    ) -> Manifest:
        """Apply a JSON Patch (RFC 6902)."""
        return await self._json(
            "patch",
            kind.path(namespace, name, subresource),
            body=list(operations),
            content_type="application/json-patch+json",
            field_manager=FIELD_MANAGER,
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this UID; do nothing if it no longer exists or another object has its name."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self._json("delete", kind.path(namespace, name), body=body, propagation_policy="Background")
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    async def _json(self, verb: str, path: str, **params: Any) -> Manifest:
        async with self._request(verb, path, **params) as response:
            found: Manifest = json.loads(await response.read())
            return found

    @asynccontextmanager
    async def _request(self, verb: str, path: str, **params: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        params.setdefault("_request_timeout", _REQUEST_TIMEOUT)
        params.setdefault("query_params", [])
        params["header_params"] = {"Accept": _JSON}
        method = _METHODS[verb]
        if verb in _LEADER_VERBS and not self._permit.held():
            raise NotLeaderError(f"{method} {path}: only the holder of the Lease may write")
        try:
            response = await self._send(verb, method, path, params)
            async with response:
                yield response
        except DynamicApiError as error:
            found = _error(error.status or 0, error.body, f"{method} {path}")
            if FENCED in str(found):
                self._permit.lost()
                raise NotLeaderError(str(found)) from error
            raise found from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = str(error) or type(error).__name__
            raise ApiError(
                0, Reason.UNREACHABLE, f"the API server did not respond to {method} {path}: {what}"
            ) from error

    async def _send(self, verb: str, method: str, path: str, params: dict[str, Any]) -> aiohttp.ClientResponse:
        status = 0
        try:
            response: aiohttp.ClientResponse = await self._dynamic.request(method, path, serialize=False, **params)
            status = response.status
        except DynamicApiError as error:
            status = error.status or 0
            raise
        finally:
            self._on_request(verb, status)
        return response


def as_yaml(manifest: Manifest) -> str:
    """Return JSON that is also valid YAML, which a server-side apply requires.

    YAML has no surrogate pairs, by which JSON escapes characters beyond the basic plane (most emoji). YAML accepts
    those characters unescaped, but not all characters of the basic plane, which are escaped here.
    """
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(manifest, ensure_ascii=False))


def _error(status: int, body: str | bytes | None, request: str) -> ApiError:
    try:
        return _error_of(json.loads(body or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        return ApiError(status, "Unknown", f"{request}: HTTP {status}: {(text or '').strip()[:200]}")


def _error_of(status: Manifest) -> ApiError:
    return ApiError(int(status["code"]), status.get("reason") or "Unknown", status.get("message") or "no message")
