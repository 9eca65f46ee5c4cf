"""The settings of a store behind an HTTP API, and of the buffer before a store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from metricat_hub.config.outputs import parse_headers
from metricat_hub.config.remote_options import STORE_SERVER
from metricat_hub.model.durations import parse_duration, parse_size
from metricat_hub.model.server import Server, checked_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.config.loader import RawSettings
    from metricat_hub.config.store_url import StoreUrl

T = TypeVar("T")
UNKNOWN = "http://prometheus.invalid"
"""A placeholder until the hub has found the address. No host has this name (RFC 2606)."""
_FILES = ("token-file", "password-file", "tls-ca-file", "tls-cert-file", "tls-key-file")


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """The settings of a store with an HTTP API."""

    server: Server
    receiver: Server | None
    """The server for remote write; None: the hub does not write to the store."""


@dataclass(frozen=True, slots=True)
class BufferBounds:
    """Limits of the buffer on disk. `most_age` is in milliseconds."""

    most_bytes: int
    most_age: int


def parse_remote_store(raw: RawSettings, url: StoreUrl) -> RemoteStore | None:
    """Parse the settings of a remote store; return None for another kind of store.

    Raises:
        SettingError: a value is invalid, or a setting of remote stores is set for another kind of store.
    """
    if url.kind != "prometheus":
        for option in STORE_SERVER:
            given = raw.explicit(option.name)
            if given is not None and given.text != option.default:
                raise given.error(
                    "works only with --store.url=prometheus+http(s)://HOST:PORT; remove the setting, or set such a URL"
                )
        return None
    address = UNKNOWN if url.is_discovered else url.url.partition("+")[2]
    server = _server(raw, address)
    write_url = raw.get("store.write-url").text
    receiver = replace(server, url=_parsed(raw, "store.write-url", checked_url)) if write_url else None
    return RemoteStore(server, receiver)


def _server(raw: RawSettings, address: str) -> Server:
    server = Server(_parsed(raw, "store.url", lambda _: checked_url(address)))
    if "?" in address:
        raise raw.get("store.url").error("the URL has a query (?); remove the query")
    for name in _FILES:
        value = raw.get(f"store.{name}")
        if value.text and not Path(value.text).is_file():
            raise value.error("not a file; set the path of an existing file")
    token, username, password = (raw.get(f"store.{name}") for name in ("token-file", "username", "password-file"))
    if token.text and username.text:
        raise token.error("cannot be combined with --store.username; remove one of them")
    if bool(username.text) != bool(password.text):
        given = username if username.text else password
        raise given.error("--store.username and --store.password-file require each other; set both")
    timeout = raw.get("store.timeout")
    seconds = _parsed(raw, "store.timeout", parse_duration) / 1000
    if not 1 <= seconds <= 600:
        raise timeout.error("outside of 1s to 10m; write for example 30s")
    return replace(
        server,
        token_file=token.text,
        username=username.text,
        password_file=password.text,
        ca_file=raw.get("store.tls-ca-file").text,
        cert_file=raw.get("store.tls-cert-file").text,
        key_file=raw.get("store.tls-key-file").text,
        server_name=raw.get("store.tls-server-name").text,
        insecure_skip_verify=raw.is_on("store.tls-skip-verify"),
        headers=_headers(raw),
        timeout=seconds,
    )


def _headers(raw: RawSettings) -> tuple[tuple[str, str], ...]:
    value = raw.get("store.header")
    try:
        return parse_headers(filter(None, value.texts))
    except ValueError as error:
        raise value.error(str(error)) from None


def parse_buffer(raw: RawSettings) -> BufferBounds:
    """Parse the limits of the buffer; raise `SettingError` for an invalid value."""
    bounds = BufferBounds(
        _parsed(raw, "store.buffer.max-size", parse_size), _parsed(raw, "store.buffer.max-age", parse_duration)
    )
    if bounds.most_bytes < 1 << 20:
        raise raw.get("store.buffer.max-size").error("below 1MB; set a larger size, for example 1GB")
    if bounds.most_age < 60_000:
        raise raw.get("store.buffer.max-age").error("below 1m; write for example 7d")
    return bounds


def _parsed(raw: RawSettings, name: str, parse: Callable[[str], T]) -> T:
    value = raw.get(name)
    try:
        return parse(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
