"""Outputs: servers to which the hub forwards all samples, from flags and the section `outputs` of the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from metricat_agent.config.loader import SettingError
from metricat_agent.config.yaml_text import YamlError, read_file
from metricat_hub.model.durations import parse_duration, parse_size
from metricat_hub.model.server import Server, checked_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from metricat_agent.config.yaml_text import Node

T = TypeVar("T")
OutputKind: TypeAlias = Literal["remote-write", "influxdb"]
FORMS = "remote-write+http(s)://HOST:PORT/PATH or influxdb+http(s)://HOST:PORT/write?db=NAME"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_OWN_HEADERS = frozenset(
    (
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Headers of the body and the connection, in lower case. The hub sets them for each request."""
_KEYS = (
    *("name", "url", "token_file", "token_type", "username", "password_file", "headers", "timeout"),
    *("tls_ca_file", "tls_cert_file", "tls_key_file", "tls_server_name", "tls_skip_verify", "max_size", "max_age"),
)
_LEAST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """The settings of one output. `most_age` is in milliseconds."""

    name: str
    kind: OutputKind
    server: Server
    most_bytes: int = 1 << 30
    most_age: int = 7 * 86_400_000


def parse_output_url(text: str) -> tuple[OutputKind, str]:
    """Return the kind and the HTTP URL of an output; raise ValueError with a message that does not contain secrets."""
    prefix, plus, rest = text.partition("+")
    kind: OutputKind
    if prefix == "remote-write" and plus:
        kind = "remote-write"
    elif prefix == "influxdb" and plus:
        kind = "influxdb"
    else:
        raise ValueError(f"not an output; write {FORMS}")
    url = checked_url(rest)
    if url.count("/") < 3:
        raise ValueError(f"has no path; write {FORMS}")
    if kind == "influxdb" and not re.search(r"[?&](db|bucket)=[^&]", url):
        raise ValueError("has neither a database (?db=NAME) nor a bucket (?bucket=NAME&org=NAME); add one")
    return kind, url


def parse_headers(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return names and values of headers `NAME: VALUE`.

    Raise ValueError for another form, for a name that is given twice, and for a header that the hub sets itself: a
    request with two of them is invalid.
    """
    found: dict[str, tuple[str, str]] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not _HEADER.fullmatch(name) or not value.isascii() or not value.strip().isprintable():
            raise ValueError("not a header; write NAME: VALUE, for example 'X-Scope-OrgID: team-a'")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"the hub sets the header {name} itself; remove it")
        if name.lower() in found:
            raise ValueError(f"the header {name} is given twice; remove one of them")
        found[name.lower()] = name, value.strip()
    return tuple(found.values())


def from_urls(texts: Sequence[str]) -> list[OutputSettings]:
    """Return the outputs for URLs in flags, named by kind and number; raise ValueError for an invalid URL."""
    found = []
    for number, text in enumerate(filter(None, texts), 1):
        kind, url = parse_output_url(text)
        found.append(OutputSettings(f"{kind}-{number}", kind, _server(kind, url)))
    return found


def from_file(path: str) -> list[OutputSettings]:
    """Return the outputs in the section `outputs` of a settings file; raise `SettingError` for an invalid output."""
    try:
        root = read_file(path) if path else None
    except YamlError as error:
        raise SettingError(f"{path}: {error}") from None
    section = root.value.get("outputs") if root is not None and isinstance(root.value, dict) else None
    if section is None or section.is_null:
        return []
    if not isinstance(section.value, list):
        raise SettingError(f"{path}: outputs: not a list; write `- url: ...` for each output")
    return [_output(node, path) for node in section.value]


def check_names(outputs: Sequence[OutputSettings]) -> None:
    """Raise `SettingError` if two outputs have the same name, which is also the name of the queue's directory."""
    names = [one.name for one in outputs]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"outputs: two outputs have the name {name}; set a different `name` for each")


class _Entry:
    """An entry of the section. Each error names file, line and key."""

    def __init__(self, node: Node, path: str) -> None:
        self._node = node
        self._path = path
        if not isinstance(node.value, dict):
            raise SettingError(f"{path}:{node.line}: outputs: not a mapping; write `- url: ...` for each output")
        self._values: Mapping[str, Node] = node.value
        for key, value in self._values.items():
            if key not in _KEYS:
                raise self.error(key, f"unknown key; the keys are {', '.join(sorted(_KEYS))}")
            if key != "headers" and not isinstance(value.value, str):
                raise self.error(key, "not a single value; write one value")

    def error(self, key: str, why: str) -> SettingError:
        line = self._values[key].line if key in self._values else self._node.line
        return SettingError(f"{self._path}:{line}: outputs: {key}: {why}")

    def node(self, key: str) -> Node | None:
        return self._values.get(key)

    def text(self, key: str, default: str = "") -> str:
        node = self._values.get(key)
        return default if node is None or node.is_null else str(node.value)

    def parsed(self, key: str, parse: Callable[[str], T], default: str) -> T:
        try:
            return parse(self.text(key, default))
        except ValueError as error:
            raise self.error(key, str(error)) from None

    def file(self, key: str) -> str:
        """Return the path of an existing file; empty without the key."""
        if not (text := self.text(key)):
            return ""
        file = Path(self._path).absolute().parent / text
        if not file.is_file():
            raise self.error(key, f"{file} is not a file; set the path of an existing file")
        return str(file)


def _output(node: Node, path: str) -> OutputSettings:
    """Return an entry of the section."""
    entry = _Entry(node, path)
    kind, url = entry.parsed("url", parse_output_url, "")
    found = OutputSettings(
        entry.parsed("name", _name, kind),
        kind,
        _credentials(entry, _server(kind, url)),
        entry.parsed("max_size", _size, "1GB"),
        entry.parsed("max_age", parse_duration, "7d"),
    )
    if found.server.token_file and found.server.username:
        raise entry.error("token_file", "cannot be combined with username; remove one of them")
    if bool(found.server.username) != bool(found.server.password_file):
        raise entry.error("username", "username and password_file require each other; set both")
    return found


def _credentials(entry: _Entry, server: Server) -> Server:
    """Return the server with the credentials, TLS settings, headers and timeout of an entry."""
    return replace(
        server,
        timeout=entry.parsed("timeout", parse_duration, "30s") / 1000,
        headers=entry.parsed("headers", lambda _: _headers(entry.node("headers")), ""),
        token_file=entry.file("token_file"),
        token_type=entry.text("token_type", server.token_type),
        username=entry.text("username"),
        password_file=entry.file("password_file"),
        ca_file=entry.file("tls_ca_file"),
        cert_file=entry.file("tls_cert_file"),
        key_file=entry.file("tls_key_file"),
        server_name=entry.text("tls_server_name"),
        insecure_skip_verify=entry.parsed("tls_skip_verify", _switch, "false"),
    )


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("invalid name; use up to 63 letters, digits and ._- only, for example mimir")
    return text


def _size(text: str) -> int:
    size = parse_size(text)
    if size < _LEAST_BYTES:
        raise ValueError("below 1MB; set a larger size, for example 1GB")
    return size


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"


def _headers(node: Node | None) -> tuple[tuple[str, str], ...]:
    if node is None or node.is_null:
        return ()
    if not isinstance(node.value, dict):
        raise ValueError("headers: not a mapping; write `headers: {NAME: VALUE}`")  # noqa: TRY004 -- a wrong setting
    return parse_headers(f"{name}: {one.value}" for name, one in node.value.items())


def _server(kind: OutputKind, url: str) -> Server:
    return Server(url, token_type="Token" if kind == "influxdb" else "Bearer")
