"""A client of a running hub for commands, with the options for its address and API key, and errors with a remedy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from metricat_cli.errors import ArgumentError, CommandError
from metricat_hub.model.json_text import decode_json
from metricat_hub.model.server import Server, checked_url

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

_URL, _KEY = "METRICAT_URL", "METRICAT_API_KEY"
_DEFAULT_URL = "http://localhost:8428"
_MOST_BYTES = 64 << 20
_PAGE = 1_000


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add the options for the hub's URL, the API key, the CA and the output format."""
    parser.add_argument("--url", help=f"URL of the hub (default ${_URL}, or {_DEFAULT_URL})")
    parser.add_argument("--key-file", metavar="FILE", help=f"file with the API key (default: use the key in ${_KEY})")
    parser.add_argument(
        "--ca-file", metavar="FILE", default="", help="file with the CA certificates that signed the hub's certificate"
    )
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="format of the output (default %(default)s)"
    )


class HubClient:
    """The HTTP API of a hub. All methods raise `CommandError` for a failed request."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        """Use the options of `add_server`."""
        from metricat_hub.remote.http_client import Client  # noqa: PLC0415 -- imports ssl

        given = chosen.url or os.environ.get(_URL) or _DEFAULT_URL
        try:
            url = checked_url(given)
        except ValueError as error:
            raise ArgumentError(f"{'--url' if chosen.url else _URL}: {error}") from None
        key = _key(chosen.key_file)
        headers = (("Authorization", f"Bearer {key}"),) if key else ()
        self._client = Client(Server(url, ca_file=chosen.ca_file, headers=headers))

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Send a GET request; return the decoded JSON of the response."""
        given = {name: value for name, value in (query or {}).items() if value}
        return self.send("GET", f"{path}?{urlencode(given, doseq=True)}" if given else path)

    def pages(self, path: str, query: Mapping[str, object], most: int) -> list[Any]:
        """Return at most `most` entries of a list, from as many response pages as needed."""
        return [entry for entry, _ in zip(self._entries(path, query, most), range(most), strict=False)]

    def _entries(self, path: str, query: Mapping[str, object], most: int) -> Iterator[Any]:
        cursor = ""
        while True:
            page = self.get(path, {**query, "limit": min(_PAGE, most), "cursor": cursor})
            yield from page["data"]
            cursor = page["next"]
            if not cursor:
                return

    def send(self, method: str, path: str, body: object = None) -> Any:
        """Send a request; return the decoded JSON of the response."""
        from metricat_hub.remote.http_client import RequestError  # noqa: PLC0415 -- as above

        where = self._client.server.shown
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = self._client.request(method, path, content, headers, limit=_MOST_BYTES)
        except RequestError as error:
            raise CommandError(
                f"cannot reach the hub at {where}: {error}. Check that it runs, and set --url or {_URL}."
            ) from None
        try:
            found = decode_json(response.body) if response.body else None
        except msgspec.MsgspecError:
            found = None
            if response.status // 100 == 2:
                raise CommandError(
                    f"the response of {where} is not JSON, so it is not a Metricat hub. Check --url or {_URL}."
                ) from None
        if response.status // 100 == 2:
            return found
        detail = found.get("detail") if isinstance(found, dict) else ""
        raise CommandError(_refused(response.status, str(detail or response.text).rstrip("."), where))


def _refused(status: int, why: str, where: str) -> str:
    """Return the message about a response with an error."""
    if status == 401:
        return (
            f"{where} refused the request: {why}. Create a key with `metricat hub keys create`, and set it in {_KEY} "
            "or with --key-file."
        )
    if status == 403:
        return f"{where} refused the request: {why}."
    return f"{where}: {why}." if why else f"{where} responds with status {status}. Check the URL."


def _key(file: str | None) -> str:
    """Return the API key; empty: none is set."""
    if not file:
        return os.environ.get(_KEY, "").strip()
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text file"
        raise ArgumentError(f"--key-file={file}: {why}. Set the path of a file that contains an API key.") from None
