"""A small client of the API server: reads of objects, and requests through its proxy to pods. All methods block."""

import http.client
import json
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from metricat_cli.cluster.kubeconfig import Credentials
from metricat_cli.errors import CommandError
from metricat_cli.http_body import SlowBodyError, read_body

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

_SECONDS = 30
_PAGE = 500
_MOST_BYTES = 64 * 2**20
_WHOLE = 4
"""The factor between the time limit of a whole response and the limit of a wait for its next bytes."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ApiError(CommandError):
    """The API server, or a pod behind its proxy, refused a request or did not respond.

    `code` is the HTTP status, 0 without a response.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ApiServer:
    """The API server of one cluster. Each thread has its own connection."""

    def __init__(self, credentials: Credentials, seconds: float = _SECONDS) -> None:
        """`seconds` is the time limit for the next bytes of a response. A whole response may take four times that."""
        self.credentials = credentials
        self.seconds = seconds
        self._url = urlsplit(credentials.server)
        self._context = _tls(credentials) if self._url.scheme == "https" else None
        self._threads = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self._closed = False
        self.time = 0.0
        """The time of the API server at its last response, in seconds since 1970: the local clock may differ."""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Return the JSON object at a path of the API.

        Raises:
            ApiError: the API server refuses the request or does not respond.
        """
        content = self.read(path, query)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ApiError(0, f"{path} returned no JSON. Check the server of the kubeconfig") from error
        if not isinstance(found, dict):
            raise _foreign(path)
        return found

    def object(self, path: str) -> Object:
        """Return the Kubernetes object at a path of the API.

        Raises:
            ApiError: as for `get`, or the response is not a Kubernetes object.
        """
        found = self.get(path)
        if not _is_object(found):
            raise _foreign(path)
        return found

    def list(self, path: str, labels: str = "", fields: str = "") -> list[Object]:
        """Return all objects of a list, which the client requests page by page."""
        found: list[Object] = []
        query = {"limit": str(_PAGE), "labelSelector": labels, "fieldSelector": fields}
        while True:
            page = self.get(path, {key: value for key, value in query.items() if value})
            items, metadata = page.get("items") or [], page.get("metadata") or {}
            if not isinstance(items, list) or not isinstance(metadata, dict) or not all(map(_is_object, items)):
                raise _foreign(path)
            found += items
            following = metadata.get("continue") or ""
            if not following:
                return found
            if following == query.get("continue"):  # an endless list
                raise _foreign(path)
            query["continue"] = following

    def find(self, path: str) -> Object | None:
        """Return one object, or None if it does not exist."""
        try:
            return self.object(path)
        except ApiError as error:
            if error.code == http.client.NOT_FOUND:
                return None
            raise

    def pod(self, namespace: str, pod: str, port: int, path: str, *, tls: bool = False) -> bytes:
        """Return the response of a pod's HTTP server, through the proxy of the API server."""
        name = f"{'https:' if tls else ''}{pod}:{port}"
        return self.read(f"/api/v1/namespaces/{namespace}/pods/{name}/proxy{path}")

    def read(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return the body of the response to GET; raise `ApiError` for an error status, or without a response."""
        target = f"{self._url.path}{path}{'?' + urlencode(query) if query else ''}"
        for again in (True, False):
            connection = self._connection()
            try:
                connection.request("GET", target, headers=self._headers())
                response = connection.getresponse()
                content = read_body(response, _MOST_BYTES, _WHOLE * self.seconds)
                response.close()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                self._drop()  # the server may close an idle connection at any time
                if not again:
                    raise self._unreachable(error) from error
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise self._unreachable(error) from error
        if len(content) > _MOST_BYTES:
            self._drop()
            raise ApiError(0, f"the response to {path} is larger than {_MOST_BYTES >> 20} MiB. Select fewer objects")
        with suppress(ValueError, TypeError):  # a missing or broken date
            self.time = parsedate_to_datetime(response.headers["Date"]).timestamp()
        if response.status >= http.client.BAD_REQUEST:
            raise self._refused(response.status, path, content)
        return content

    def _headers(self) -> dict[str, str | bytes]:
        own = {name: value.encode() for name, value in self.credentials.headers.items()}
        return {"Accept": "application/json, */*", "User-Agent": "metricat-cli", **own}

    def _connection(self) -> http.client.HTTPConnection:
        if self._closed:
            raise ApiError(0, "the command ended before the request. Run it again")
        found: http.client.HTTPConnection | None = getattr(self._threads, "connection", None)
        if found is None:
            found = self._threads.connection = self._connect()
            self._connections.append(found)
        return found

    def close(self) -> None:
        """Close the connections of all threads. Threads that wait for a response stop waiting."""
        self._closed = True
        for connection in self._connections:
            if connection.sock:
                with suppress(OSError):  # the server has closed the connection
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    @contextmanager
    def threads(self, number: int) -> Iterator[ThreadPoolExecutor]:
        """Yield a pool of threads for requests. If the block fails, for example by Ctrl-C, the requests end at once."""
        with ThreadPoolExecutor(number) as pool:
            try:
                yield pool
            except BaseException:
                self.close()
                raise

    def _drop(self) -> None:
        if connection := getattr(self._threads, "connection", None):
            connection.close()
        self._threads.connection = None

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port or (443 if self._context else 80)
        proxy = _proxy(self.credentials, host)
        first = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        if self._context is None:
            return http.client.HTTPConnection(*first, timeout=self.seconds)
        connection = _Connection(*first, timeout=self.seconds, context=self._context)
        connection.server_name = self.credentials.server_name or host
        if proxy:
            connection.set_tunnel(host, port)
        return connection

    def _unreachable(self, error: Exception) -> ApiError:
        if isinstance(error, ssl.SSLCertVerificationError):
            why, remedy = error.verify_message, "Check certificate-authority-data in the kubeconfig"
        elif isinstance(error, SlowBodyError):
            why, remedy = str(error), "Check the network or the VPN"
        elif isinstance(error, http.client.IncompleteRead):
            why, remedy = "the response ends too early", "Check the network, and: kubectl cluster-info"
        elif isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
            why, remedy = "the response is not HTTP", "Check the server of the kubeconfig"
        elif isinstance(error, TimeoutError):
            why, remedy = f"no response within {self.seconds:g} s", "Check the network or the VPN"
        else:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            remedy = "Check the server of the kubeconfig, and: kubectl cluster-info"
        return ApiError(0, f"cannot reach the API server {self.credentials.server}: {why}. {remedy}")

    def _refused(self, code: int, path: str, content: bytes) -> ApiError:
        remedy = ""
        try:
            message = " ".join(str(json.loads(content)["message"]).split())
        except (ValueError, KeyError, TypeError, RecursionError):
            message = " ".join(content[:200].decode(errors="replace").split())
            remedy = "Check the server of the kubeconfig"
        what = path.partition("?")[0]
        if code == http.client.UNAUTHORIZED and "/proxy/" not in what:
            context = self.credentials.context
            remedy = "Log in to the cluster again" if context else "Check the ServiceAccount of the pod, and its token"
            return ApiError(code, f"the API server rejects the credentials of {context or 'the pod'}. {remedy}")
        if code == http.client.FORBIDDEN and ("/proxy/" not in what or "pods/proxy" in message):
            return ApiError(code, f"{message}. Ask the administrator of the cluster for this permission")
        if code == http.client.TOO_MANY_REQUESTS:
            remedy = "Try again in a minute"
        elif code >= http.client.INTERNAL_SERVER_ERROR:
            remedy = "Try again. If it fails again, check the API server: kubectl get --raw /readyz"
        text = f"{what} returned {code}: {message.removesuffix('.') or 'empty response'}"
        return ApiError(code, text if not remedy or "/proxy/" in what else f"{text}. {remedy}")


def _is_object(value: Any) -> bool:
    """Return whether a value has the form of a Kubernetes object."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def _foreign(path: str) -> ApiError:
    return ApiError(0, f"{path} returned JSON that is not from Kubernetes. Check the server of the kubeconfig")


class _Connection(http.client.HTTPSConnection):
    """A TLS connection whose certificate may have another name than the host."""

    server_name = ""

    def connect(self) -> None:
        """Connect, through the tunnel of a proxy if one is set."""
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(self.sock, server_hostname=self.server_name)


def _tls(credentials: Credentials) -> ssl.SSLContext:
    """Return the TLS settings of the credentials."""
    try:
        context = ssl.create_default_context(cadata=credentials.authority or None)
        if not credentials.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-without-verification -- a setting of the kubeconfig
        if credentials.certificate:
            with tempfile.TemporaryDirectory() as folder:  # `ssl` reads certificates from files only
                file = Path(folder) / "client.pem"
                file.touch(mode=0o600)
                file.write_text(f"{credentials.certificate}\n{credentials.key}")
                context.load_cert_chain(file)
    except (ssl.SSLError, ValueError) as error:
        raise CommandError(
            f"a certificate of the context {credentials.context} is not valid. Check it with: kubectl config view --raw"
        ) from error
    return context


def _proxy(credentials: Credentials, host: str) -> Any:
    """Return the parsed URL of the HTTP proxy, or None."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 -- 40 ms, only for clusters

    url = credentials.proxy
    if not url and not proxy_bypass(host) and host not in _LOOPBACK:
        url = getproxies().get(urlsplit(credentials.server).scheme, "")
    if not url:
        return None
    try:
        parsed = urlsplit(url if "://" in url else f"http://{url}")
        valid = bool(parsed.hostname) and parsed.port != 0
    except ValueError:  # the port
        valid = False
    if not valid:  # its URL may have a password
        raise CommandError("the URL of the proxy is not valid; use for example http://proxy.example.com:3128")
    if parsed.scheme != "http":
        raise CommandError(f"the proxy {parsed.scheme}://{parsed.hostname} is not supported. Use an HTTP proxy")
    return parsed


def namespaced(group: str, plural: str, namespace: str = "", name: str = "") -> str:
    """Return the API path of one object, or of all objects in a namespace or the cluster; `group` has the version."""
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{place}/{plural}{'/' + quote(name, safe='') if name else ''}"


def connect(kubeconfig: str = "", context: str = "", impersonate: str = "", seconds: float = _SECONDS) -> ApiServer:
    """Return the API server of a kubeconfig's context; in a pod without a kubeconfig, that of the pod's cluster."""
    from metricat_cli.cluster.kubeconfig import load  # noqa: PLC0415 -- the other modules need no kubeconfig

    return ApiServer(load(os.environ, kubeconfig=kubeconfig, context=context, impersonate=impersonate), seconds)
