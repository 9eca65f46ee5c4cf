"""HTTP requests of channels, and the outcome that a response means."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from metricat_hub.model.server import Server, checked_url
from metricat_hub.notify.outcome import DELIVERED, Outcome
from metricat_hub.remote.http_client import LEAST_SECRET, Client, RequestError, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.receivers import HttpTarget, Secret
    from metricat_hub.remote.http_client import Response

_RETRIED = (401, 403, 404, 408, 425, 429)
"""Statuses 4xx that are not caused by the message but by credentials, URL or timing. A retry can succeed."""
_MOST_RESPONSE = 1 << 16


class SecretFileError(Exception):
    """The file of a secret is not usable. The message contains its path and the remedy."""


def reveal(secret: Secret) -> str:
    """Return the text of a secret, from its file if it has one.

    Raises:
        SecretFileError: the file cannot be read, is empty, or has several lines.
    """
    if not secret.file:
        return secret.value
    try:
        text = read_secret(secret.file)
    except OSError as error:
        raise SecretFileError(f"{secret.file}: {error.strerror}; set the path of a readable file") from None
    except ValueError as error:
        raise SecretFileError(str(error)) from None
    if not text:
        raise SecretFileError(f"{secret.file} is empty; write the secret into the file")
    return text


def revealed(*secrets: Secret) -> list[str]:
    """Return the texts of the secrets whose files can be read."""
    found = []
    for secret in secrets:
        try:
            found.append(reveal(secret))
        except SecretFileError:
            continue
    return found


class HttpSender:
    """Sends POST requests to a URL. Any thread may use it."""

    def __init__(self, target: HttpTarget) -> None:
        self._target = target
        self._client: Client | None = None
        self._lock = threading.Lock()

    def post(self, body: bytes, headers: Mapping[str, str], path: str = "") -> Response | Outcome:
        """Send a request; return the response, or the outcome `failed` without a response.

        Args:
            body: the JSON body.
            headers: further headers.
            path: the path to append to the URL.
        """
        target = self._target
        try:
            client = self._current()
            own = {"Content-Type": "application/json", **self._authorization(), **dict(target.headers), **headers}
            return client.request("POST", path, body, own, limit=_MOST_RESPONSE)
        except (SecretFileError, RequestError) as error:
            return Outcome("failed", str(error))

    def send(self, body: bytes, headers: Mapping[str, str], path: str = "") -> Outcome:
        """Send a request; return the outcome that the status of the response means."""
        response = self.post(body, headers, path)
        return response if isinstance(response, Outcome) else outcome_of(response)

    def secrets(self) -> Sequence[str]:
        """Return the secrets, including the secret parts of the URL."""
        target = self._target
        found = revealed(target.url, target.token, target.password)
        found += [value for _, value in target.headers]
        found += [base64.b64encode(f"{target.username}:{one}".encode()).decode() for one in revealed(target.password)]
        for text in revealed(target.url):
            url = urlsplit(text)
            found += [f"{url.path}?{url.query}", url.query, url.path, *url.path.split("/")]
            found += [value for _, value in parse_qsl(url.query)]
        found += [unquote(one) for one in found]
        return [one for one in found if len(one) >= LEAST_SECRET]

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _current(self) -> Client:
        """Return the client of the current URL."""
        target, tls = self._target, self._target.tls
        url = reveal(target.url)
        try:
            checked_url(url)
        except ValueError as error:
            raise SecretFileError(f"{target.url.file or 'the URL'}: {error}") from None
        with self._lock:
            if self._client is None or self._client.server.url != url:
                if self._client:
                    self._client.close()
                self._client = Client(
                    Server(
                        url,
                        ca_file=tls.ca_file,
                        cert_file=tls.cert_file,
                        key_file=tls.key_file,
                        server_name=tls.server_name,
                        insecure_skip_verify=tls.insecure_skip_verify,
                        timeout=target.timeout,
                    )
                )
            return self._client

    def _authorization(self) -> dict[str, str]:
        target = self._target
        if target.token:
            return {"Authorization": f"{target.token_type} {reveal(target.token)}"}
        if target.username:
            pair = f"{target.username}:{reveal(target.password)}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}


def outcome_of(response: Response) -> Outcome:
    """Return the outcome that the status of a response means."""
    status = response.status
    if 200 <= status < 300:
        return DELIVERED
    text = f"status {status}: {response.text}"
    if status // 100 == 3:
        return Outcome("failed", f"{text}: the service redirects to another URL; change the URL in the settings")
    if status // 100 == 5 or status in _RETRIED:
        return Outcome("failed", text, response.retry_after)
    return Outcome("rejected", text)


def shown_url(target: HttpTarget) -> str:
    """Return only scheme and host of the URL, because the other parts may be secret."""
    if target.url.file:
        return f"URL in {target.url.file}"
    url = urlsplit(target.url.value)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
