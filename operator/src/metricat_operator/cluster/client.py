"""Typed client of the API server on top of `kubernetes.aio`: a few verbs, plain JSON, and errors with remedies."""

import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
import structlog
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from metricat_operator.cluster.backoff import retry_after
from metricat_operator.cluster.bounded_response import InvalidBodyError, session_options
from metricat_operator.cluster.kinds import Kind
from metricat_operator.cluster.outage import Outage
from metricat_operator.cluster.responses import (
    InvalidResponseError,
    parse_deletion,
    parse_event,
    parse_object,
    parse_page,
)
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Manifest
from metricat_operator.naming import FENCED, FIELD_MANAGER

log = structlog.get_logger(__name__)

_READ_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10, sock_read=15)
# Longer than an admission webhook may take (30 s), so that the API server reports which webhook does not respond.
_WRITE_TIMEOUT = aiohttp.ClientTimeout(total=40, sock_connect=10)
_WATCH_SECONDS = 300
_WATCH_SECONDS_WITHOUT_BOOKMARKS = 60
# The API server sends a bookmark every 60 to 75 s: a longer time without data means a dead connection.
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=10, sock_read=90)
PAGE = 50
"""Number of objects in a page of a list."""
_MAX_MESSAGE = 4096
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]{0,1000}[A-Za-z0-9_])?", re.ASCII)
"""The reasons that a condition may have. An admission webhook may send any text as reason."""
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
_RENEW_SECONDS = 5.0
"""Least time between two reads of the credentials after the API server rejected them."""

OnRequest = Callable[[str, int], None]
"""Called with the verb of each request and the HTTP status of its response, 0 without a response."""


def _ignore_request(_verb: str, _status: int) -> None:
    """Do nothing: the default of `OnRequest`."""


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
        """Do nothing: this process may always write."""


_ALWAYS_LEADER = _AlwaysLeader()


class NotLeaderError(Exception):
    """The write was not made: this replica is not the leader."""


class ApiError(Exception):
    """The API server refused a request or did not respond.

    Attributes:
        status: HTTP status; 0 without a response.
        reason: machine-readable, as in `metav1.Status.reason`.
        retry_after: least delay before the next attempt in seconds, as the response requests; 0 without such a request.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without a change by a user."""
        return self.unavailable or self.status == 409

    @property
    def unavailable(self) -> bool:
        """Whether every request to the API server fails now. 401 counts, because the client renews the credentials."""
        return self.status in {0, 401, 408, 429} or self.status >= 500


class Client:
    """Client of the API server; one per process. `close` ends it."""

    def __init__(
        self,
        configuration: Configuration,
        on_request: OnRequest = _ignore_request,
        permit: LeaderCheck = _ALWAYS_LEADER,
        read_configuration: Callable[[], Awaitable[Configuration]] | None = None,
    ) -> None:
        self._on_request = on_request
        self._permit = permit
        self._read_configuration = read_configuration
        self._renewed = float("-inf")
        self._writes = Outage("write any object")
        self._unwritable: set[str] = set()
        self.open_watches: Counter[str] = Counter()
        """Number of open watches of each kind."""
        self._use(configuration)

    def _use(self, configuration: Configuration) -> None:
        self._credentials = _credentials(configuration)
        configuration.client_session_kwargs = session_options()
        self._api = ApiClient(configuration)
        self._dynamic = DynamicClient(self._api)

    @classmethod
    async def connect(cls, on_request: OnRequest = _ignore_request, permit: LeaderCheck = _ALWAYS_LEADER) -> Self:
        """Connect with the pod's ServiceAccount or, outside a pod, with the kubeconfig (`$KUBECONFIG`).

        Apply, patch and delete raise `NotLeaderError` if `permit` is not held when they are sent, or if the API server
        rejects them because another process is the leader.
        """
        return cls(await _read_configuration(), on_request, permit, _read_configuration)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    def write_trouble(self, seconds: float) -> str:
        """Return the error if every write of at least two kinds has failed for `seconds`, otherwise an empty text.

        The writes of a single kind may fail for a reason of that kind, such as its admission webhook.
        """
        return self._writes.lasting(seconds) if len(self._unwritable) > 1 else ""

    async def pages(
        self, kind: Kind, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[Manifest], str]]:
        """Yield the objects of a kind page by page, with the resource version of the first page, to watch from.

        Empty each page while you read it: otherwise two large pages are in memory at the same time.
        """
        token = ""
        while True:
            async with self._request(
                "list",
                kind,
                kind.path(namespace),
                label_selector=labels or None,
                field_selector=fields or None,
                limit=PAGE,
                _continue=token or None,
            ) as response:
                before = token
                items, version, token = parse_page(await response.read(), kind)
                if token and token == before:
                    raise InvalidResponseError("the list continues with the same page")
            yield items, version
            if not token:
                return

    async def watch(
        self, kind: Kind, resource_version: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Manifest]]:
        """Yield the type and object of each event and bookmark, until the API server ends the stream."""
        query = [("allowWatchBookmarks", "true")]
        async with self._request(
            "watch",
            kind,
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
            self.open_watches[kind.name] += 1
            try:
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in filter(None, lines):
                        event_type, found = parse_event(line, kind)
                        if event_type == "ERROR":
                            raise _error(0, json.dumps(found), f"watch {kind.plural}")
                        yield event_type, found
            except aiohttp.SocketTimeoutError as error:
                raise ApiError(408, Reason.TIMEOUT, f"the watch of {kind.plural} received no data") from error
            finally:
                rest = chunk = b""  # the traceback of an error holds this frame until the next garbage collection
                self.open_watches[kind.name] -= 1

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Return the object with this kind, namespace and name."""
        return await self._json("get", kind, kind.path(namespace, name))

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object or request a review (TokenReview, SubjectAccessReview)."""
        namespace = manifest.get("metadata", {}).get("namespace", "")
        return await self._json("create", kind, kind.path(namespace), body=manifest, field_manager=FIELD_MANAGER)

    async def update(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Replace an object if its resource version is still that of the manifest."""
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._json("update", kind, path, body=manifest, field_manager=FIELD_MANAGER)

    async def apply(
        self, kind: Kind, manifest: Manifest, *, force: bool, subresource: str = "", manager: str = FIELD_MANAGER
    ) -> Manifest:
        """Apply server-side as the field manager `manager` and return the current object."""
        metadata = manifest["metadata"]
        return await self._json(
            "apply",
            kind,
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
            kind,
            kind.path(namespace, name, subresource),
            body=list(operations),
            content_type="application/json-patch+json",
            field_manager=FIELD_MANAGER,
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this UID; do nothing if it no longer exists or another object has its name."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            path = kind.path(namespace, name)
            async with self._request("delete", kind, path, body=body, propagation_policy="Background") as response:
                parse_deletion(await response.read())
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    async def _json(self, verb: str, kind: Kind, path: str, **params: Any) -> Manifest:
        async with self._request(verb, kind, path, **params) as response:
            return parse_object(await response.read(), kind)

    @asynccontextmanager
    async def _request(self, verb: str, kind: Kind, path: str, **params: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield the response; any failure of it, or in reading the response, is an `ApiError`."""
        params.setdefault("_request_timeout", _READ_TIMEOUT if _METHODS[verb] == "GET" else _WRITE_TIMEOUT)
        params.setdefault("query_params", [])
        params["header_params"] = {"Accept": _JSON}
        method = _METHODS[verb]
        if verb in _LEADER_VERBS and not self._permit.held():
            raise NotLeaderError(f"{method} {path}: only the holder of the Lease may write")
        try:
            response = await self._send(verb, method, path, params)
            async with response:
                yield response
        except ApiError as error:
            if FENCED in str(error):
                self._permit.lost()
                raise NotLeaderError(str(error)) from error
            self._record_write(verb, kind, error)
            raise
        except InvalidResponseError as error:
            found = _invalid(method, path, error)
            self._record_write(verb, kind, found)
            raise found from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            found = _no_response(method, path, error)
            self._record_write(verb, kind, found)
            raise found from error
        self._record_write(verb, kind, None)

    def _record_write(self, verb: str, kind: Kind, error: ApiError | None) -> None:
        if verb not in _LEADER_VERBS:
            return
        if error is not None and (error.unavailable or error.status == 403):
            self._unwritable.add(kind.plural)
            self._writes.failed(str(error), status=error.status)
        else:
            self._unwritable.clear()
            self._writes.ended()

    async def _send(self, verb: str, method: str, path: str, params: dict[str, Any]) -> aiohttp.ClientResponse:
        """Return a response of status 2xx.

        Raises:
            ApiError: any other response, or none. What the libraries raise depends on the content of the response.
        """
        status = 0
        try:
            response: aiohttp.ClientResponse = await self._dynamic.request(method, path, serialize=False, **params)
            status = response.status
        except DynamicApiError as error:
            status = error.status or 0
            if status == 401:
                await self._renew()
            headers = error.headers or {}
            found = _error(status, error.body, f"{method} {path}")
            found.retry_after = retry_after(headers.get("Retry-After"))
            raise found from error
        except aiohttp.ClientSSLError as error:
            await self._renew()
            raise _no_response(method, path, error) from error
        except Exception as error:
            raise _no_response(method, path, error) from error
        finally:
            self._on_request(verb, status)
        return response

    async def _renew(self) -> None:
        """Read the token, the certificates and the server again: a rotation may have replaced them."""
        if self._read_configuration is None or time.monotonic() - self._renewed < _RENEW_SECONDS:
            return
        self._renewed = time.monotonic()
        try:
            configuration = await self._read_configuration()
            if _credentials(configuration) == self._credentials:
                return
            before = self._api
            self._use(configuration)
        except Exception as error:  # noqa: BLE001 (files that a rotation has written in part; the next failure reads them again)
            log.warning("cannot read the credentials again", error=str(error))
            return
        log.info("read new credentials after the API server rejected the old ones")
        await before.close()


async def _read_configuration() -> Configuration:
    """Read the pod's ServiceAccount or, outside a pod, the kubeconfig (`$KUBECONFIG`)."""
    configuration = Configuration()
    try:
        config.load_incluster_config(configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)
    return configuration


def _credentials(configuration: Configuration) -> tuple[object, ...]:
    """Return the credentials of the client. A file is compared by its content, because a rotation keeps its name."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = [_content(file) for file in files]
    return configuration.host, dict(configuration.api_key), configuration.ca_cert_data, *contents


def _content(file: str | None) -> bytes:
    try:
        return Path(file).read_bytes() if file else b""
    except OSError:
        return b""


def as_yaml(manifest: Manifest) -> str:
    """Return JSON that is also valid YAML, which a server-side apply requires.

    YAML has no surrogate pairs, by which JSON escapes characters beyond the basic plane (most emoji). YAML accepts
    those characters unescaped, but not all characters of the basic plane, which are escaped here.
    """
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(manifest, ensure_ascii=False))


def _invalid(method: str, path: str, error: Exception) -> ApiError:
    message = f"{method} {path}: the response is not the API server's: {error}. Check the proxies in front of it"
    return ApiError(0, Reason.UNREACHABLE, message)


def _no_response(method: str, path: str, error: Exception) -> ApiError:
    if isinstance(error, InvalidBodyError):
        return _invalid(method, path, error)
    what = str(error) or type(error).__name__
    return ApiError(0, Reason.UNREACHABLE, f"the API server did not respond to {method} {path}: {what}")


def _error(status: int, body: str | bytes | None, request: str) -> ApiError:
    """Return the error of a response, from its `Status` if the body is one: a proxy may send another body.

    A long message is cut, and a reason that no condition may have is replaced.
    """
    try:
        found = json.loads(body or "")
        code = int(found["code"])
        message = found.get("message") or "no message"
        reason = str(found.get("reason"))
        return ApiError(
            status or code,
            reason if found.get("reason") and _REASON.fullmatch(reason) else "Unknown",
            _cut(str(message)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        return ApiError(status, "Unknown", f"{request}: HTTP {status}: {(text or '').strip()[:200]}")


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 4]} ..."
