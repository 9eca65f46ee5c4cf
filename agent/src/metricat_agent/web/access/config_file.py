"""Access rules from a web config file in Prometheus' format."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from metricat_agent.collectors.option import parse_boolean, parse_whole
from metricat_agent.config.durations import parse_go_duration
from metricat_agent.config.loader import SettingError
from metricat_agent.config.yaml_text import Node, YamlError, read_file
from metricat_agent.web.access import passwords, tls
from metricat_agent.web.access.rate_limit import TokenBucket
from metricat_agent.web.access.rules import AccessRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_TLS_KEYS = (*tls.TEXTS, *tls.LISTS, *tls.SWITCHES)
_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-8])\$[./A-Za-z0-9]{53}")
"""A hash of at most cost 18. Each step of the cost doubles the time to check a password; 18 takes some seconds."""
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that Prometheus' format allows, with their values if only some are valid.

Any other header could contradict one that the server sends, such as Content-Length.
"""
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]+")


class WebConfigError(SettingError):
    """The web config file cannot be used. The message has the file's path, the key at fault and the remedy."""


def load(path: str) -> AccessRules:
    """Return the rules of a web config file and of the TLS files that it names; raise `WebConfigError`."""
    try:
        given = read_file(path)
    except YamlError as error:
        raise WebConfigError(f"--web.config.file={path}: {error}") from None
    if (
        given is None or given.is_null
    ):  # Prometheus reads it as no rules, but an interrupted write leaves an empty file too
        raise WebConfigError(
            f"--web.config.file={path}: the file is empty; write {{}} to disable TLS and authentication explicitly"
        )
    try:
        return _rules(given, os.path.abspath(path))  # noqa: PTH100 -- as above
    except tls.TlsError as error:
        raise WebConfigError(f"--web.config.file={path}: tls_server_config.{error}") from None
    except _ValueError as error:
        raise WebConfigError(f"--web.config.file={path}: {error}") from None


class _ValueError(Exception):
    """A part of the file that cannot be used. The message holds the key and the remedy."""


def _rules(given: Node, path: str) -> AccessRules:
    folder = os.path.dirname(path)  # noqa: PTH120 -- as above
    sections = _mapping("the file", given, _SECTIONS)
    tls_section = _tls(_mapping("tls_server_config", sections.get("tls_server_config"), _TLS_KEYS))
    http = _mapping("http_server_config", sections.get("http_server_config"), ("http2", "headers"))
    if "http2" in http:
        _boolean("http_server_config.http2", http["http2"])
    tls_files = tls.files(tls_section, folder)
    return AccessRules(
        context=tls.context(tls_section, folder) if tls_section else None,
        allowed_names=tls.allowed_names(tls_section),
        users=_users(_mapping("basic_auth_users", sections.get("basic_auth_users"))),
        headers=tuple(_headers(_mapping("http_server_config.headers", http.get("headers"), tuple(_HEADERS)))),
        bucket=_bucket(_mapping("rate_limit", sections.get("rate_limit"), ("interval", "burst"))),
        tls_files=tls_files,
        files=(path, *tls_files.values()),
    )


def _tls(section: Mapping[str, Node]) -> dict[str, Any]:
    """Return the values of the section: texts, lists of texts and booleans."""
    values: dict[str, Any] = {}
    for key, node in section.items():
        what = f"tls_server_config.{key}"
        read = _texts if key in tls.LISTS else _boolean if key in tls.SWITCHES else _text
        values[key] = read(what, node)
    return values


def _headers(headers: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    for name, node in headers.items():
        value, allowed = _text(f"http_server_config.headers.{name}", node), _HEADERS[name]
        if not _HEADER_VALUE.fullmatch(value):
            raise _ValueError(
                f"http_server_config.headers.{name} is not a valid header; write Latin-1 characters on one line"
            )
        if allowed and value not in allowed:
            raise _ValueError(f"http_server_config.headers.{name}: invalid value {value}; write {' or '.join(allowed)}")
        yield name, value


def _users(users: Mapping[str, Node]) -> dict[str, str]:
    found = {}
    for name, node in users.items():
        if not name or ":" in name or not name.isprintable():
            raise _ValueError(f"basic_auth_users: invalid name {name!a}; write printable characters without a colon")
        found[name] = _text(f"basic_auth_users.{name}", node)
        if not _HASH.fullmatch(found[name]):
            raise _ValueError(
                f"basic_auth_users.{name} is not a bcrypt hash of cost 4 to 18; create one with: htpasswd -nB {name}"
            )
    if found:
        try:
            passwords.hasher()
        except passwords.NoBcryptError as error:
            raise _ValueError(str(error)) from None
    return found


def _bucket(limit: Mapping[str, Node]) -> TokenBucket | None:
    if not limit:
        return None
    if "interval" not in limit:
        raise _ValueError("rate_limit.burst has no effect without rate_limit.interval; give both")
    try:
        interval = parse_go_duration(_text("rate_limit.interval", limit["interval"]))
    except ValueError as error:
        raise _ValueError(f"rate_limit.interval: {error}") from None
    if "burst" not in limit:
        if interval:
            raise _ValueError("rate_limit.burst is missing, so the limit allows no request; write 1 or more")
        return None
    text = _text("rate_limit.burst", limit["burst"])
    try:
        burst = parse_whole(text, 1, 1_000_000, 10)
    except ValueError as error:
        raise _ValueError(f"rate_limit.burst: {text}: {error}") from None
    return TokenBucket(interval, burst) if interval else None


def _text(what: str, node: Node) -> str:
    """Return the text of a key; raise `_ValueError` if it has none."""
    if not isinstance(node.value, str):
        raise _ValueError(f"{what} in line {node.line} is not one text; write {what.rpartition('.')[2]}: VALUE")
    if node.is_null or not node.value:
        raise _ValueError(f"{what} in line {node.line} has no value; write one, or remove the key")
    return node.value


def _texts(what: str, node: Node) -> list[str]:
    """Return the texts of a list; raise `_ValueError` if it has none, or one twice."""
    if not isinstance(node.value, list):
        raise _ValueError(f"{what} is not a list; write [A, B]")
    texts = [_text(what, item) for item in node.value]
    if not texts:
        raise _ValueError(f"{what} in line {node.line} is an empty list; write at least one item, or remove the key")
    if twice := [text for at, text in enumerate(texts) if text in texts[:at]]:
        raise _ValueError(f"{what} holds {twice[0]} twice; remove one of them")
    return texts


def _boolean(what: str, node: Node) -> bool:
    try:
        return parse_boolean(_text(what, node))
    except ValueError as error:
        raise _ValueError(f"{what}: {node.value}: {error}") from None


def _mapping(what: str, given: Node | None, keys: tuple[str, ...] = ()) -> Mapping[str, Node]:
    """Return the keys of a section, none if the file lacks it; a section without a value is an error."""
    if given is None:
        return {}
    if given.is_null:
        raise _ValueError(
            f"{what} in line {given.line} has no value; write its keys, remove it, or write {{}} for none"
        )
    if not isinstance(given.value, dict):
        raise _ValueError(f"{what} is not a mapping; write KEY: VALUE lines")
    if keys and (unknown := [key for key in given.value if key not in keys]):
        raise _ValueError(f"{what} has the unknown key {unknown[0]}; use one of {', '.join(keys)}")
    return given.value
