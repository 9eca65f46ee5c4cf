"""A thin, typed face over `kubernetes.aio`: a few verbs, plain JSON, and errors that say what to do."""

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
from metricat_operator.facts.model import Manifest
from metricat_operator.naming import FENCED, FIELD_MANAGER

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCH_SECONDS = 300
_WATCH_SECONDS_WITHOUT_BOOKMARKS = 60
# The API server sends a bookmark every minute; a longer silence means that the connection is dead.
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=10, sock_read=75)
_PAGE = 50
_BASIC = re.compile("[\x7f-\uffff]")
_JSON = "application/json"
_METHODS = {
    **dict.fromkeys(("get", "list", "watch"), "GET"),
    **dict.fromkeys(("apply", "patch"), "PATCH"),
    "create": "POST",
    "delete": "DELETE",
    "update": "PUT",
}
_LEADERS = frozenset({"apply", "patch", "delete"})
"""Only the leader writes so; Leases and reviews are created and updated."""

Asked = Callable[[str, int], None]
"""Called with the verb of each request, and the status of its answer; 0: none came."""


def _uncounted(_verb: str, _status: int) -> None:
    """Nobody wants to know."""


class Permit(Protocol):
    """Whether this process may write."""

    def held(self) -> bool:
        """Whether it may, now."""

    def refused(self) -> None:
        """Told that the API server says it may not."""


class _Always:
    def held(self) -> bool:
        return True

    def refused(self) -> None:
        """Whoever needs no permit has none to lose."""


_ALWAYS = _Always()


class NotLeaderError(Exception):
    """Another replica writes: this one must not, and did not."""


class ApiError(Exception):
    """The API server refused or could not be asked.

    Attributes:
        status: HTTP status; 0 where no answer came.
        reason: machine-readable, as in `metav1.Status.reason`.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without anybody's doing."""
        return self.status in {0, 408, 409, 429} or self.status >= 500


class Client:
    """The API server, as the operator uses it. One per process; closed by `close`."""

    def __init__(self, configuration: Configuration, asked: Asked = _uncounted, permit: Permit = _ALWAYS) -> None:
        self._asked = asked
        self._permit = permit
        self._api = ApiClient(configuration)
        self._dynamic = DynamicClient(self._api)

    @classmethod
    async def connect(cls, asked: Asked = _uncounted, permit: Permit = _ALWAYS) -> Self:
        """By the pod's ServiceAccount, or else by the kubeconfig (`$KUBECONFIG`).

        Applies, patches and deletions need the permit at the moment that they are sent, and raise a `NotLeaderError`
        without it, as they do where the API server refuses them for the lack of it.
        """
        configuration = Configuration()
        try:
            config.load_incluster_config(configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        return cls(configuration, asked, permit)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def pages(
        self, kind: Kind, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[Manifest], str]]:
        """All objects of a kind, page by page, each with the resource version to watch from: that of the first page.

        Of a large cluster one page is large already; whoever empties it as he goes never holds two.
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
        """Events since a resource version, bookmarks included, until the API server ends the stream, after minutes."""
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
        """One object."""
        return await self._json("get", kind.path(namespace, name))

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object, or ask a question that the API server answers as one: a review."""
        namespace = manifest.get("metadata", {}).get("namespace", "")
        return await self._json("create", kind.path(namespace), body=manifest, field_manager=FIELD_MANAGER)

    async def update(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Replace an object, if it is still of the resource version that the manifest has."""
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._json("update", path, body=manifest, field_manager=FIELD_MANAGER)

    async def apply(
        self, kind: Kind, manifest: Manifest, *, force: bool, subresource: str = "", manager: str = FIELD_MANAGER
    ) -> Manifest:
        """Server-side apply under our field manager; what comes back is the object as it is now."""
        metadata = manifest["metadata"]
        return await self._json(
            "apply",
            kind.path(metadata.get("namespace", ""), metadata["name"], subresource),
            body=as_yaml(manifest),
            content_type="application/apply-patch+yaml; charset=utf-8",  # plain, it would be dumped once more
            field_manager=manager,
            force_conflicts=str(force).lower(),
        )

    async def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Manifest], *, subresource: str = ""
    ) -> Manifest:
        """JSON Patch (RFC 6902)."""
        return await self._json(
            "patch",
            kind.path(namespace, name, subresource),
            body=list(operations),
            content_type="application/json-patch+json",
            field_manager=FIELD_MANAGER,
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete this very object; one that is gone, or was replaced by another of its name, is left alone."""
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
        if verb in _LEADERS and not self._permit.held():
            raise NotLeaderError(f"{method} {path} is left to the holder of the Lease")
        try:
            response = await self._answer(verb, method, path, params)
            async with response:
                yield response
        except DynamicApiError as error:
            found = _error(error.status or 0, error.body, f"{method} {path}")
            if FENCED in str(found):
                self._permit.refused()
                raise NotLeaderError(str(found)) from error
            raise found from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = str(error) or type(error).__name__
            raise ApiError(0, "Unreachable", f"the API server did not answer {method} {path}: {what}") from error

    async def _answer(self, verb: str, method: str, path: str, params: dict[str, Any]) -> aiohttp.ClientResponse:
        status = 0
        try:
            response: aiohttp.ClientResponse = await self._dynamic.request(method, path, serialize=False, **params)
            status = response.status
        except DynamicApiError as error:
            status = error.status or 0
            raise
        finally:
            self._asked(verb, status)
        return response


def as_yaml(manifest: Manifest) -> str:
    """JSON that is YAML as well, which an apply must be.

    YAML has no pairs of surrogates, as JSON writes what is beyond the basic plane (most emoji); raw it takes those, but
    not all that is below.
    """
    return _BASIC.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(manifest, ensure_ascii=False))


def _error(status: int, body: str | bytes | None, request: str) -> ApiError:
    try:
        return _error_of(json.loads(body or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        return ApiError(status, "Unknown", f"{request}: HTTP {status}: {(text or '').strip()[:200]}")


def _error_of(status: Manifest) -> ApiError:
    return ApiError(int(status["code"]), status.get("reason") or "Unknown", status.get("message") or "no message")
