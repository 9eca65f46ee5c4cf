"""Access rules from a web config file in Prometheus' format."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import yaml

from metricat_agent.config.durations import parse_go_duration
from metricat_agent.config.loader import SettingError
from metricat_agent.web.access import passwords, tls
from metricat_agent.web.access.rate_limit import TokenBucket
from metricat_agent.web.access.rules import AccessRules

_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\xa0-\xff]*")


class WebConfigError(SettingError):
    """The file cannot be used. The message holds the file, the key and the remedy."""


def load(path: str) -> AccessRules:
    """Read the file and all files that it names; raises `WebConfigError`."""
    try:
        with open(path, encoding="utf-8") as opened:  # noqa: PTH123 -- all other paths are strings
            given = yaml.safe_load(opened)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise WebConfigError(f"--web.config.file={path}: {_brief(error)}") from None
    if given is None:  # Prometheus reads it as no rules, but an interrupted write leaves an empty file too
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


def _rules(given: object, path: str) -> AccessRules:
    folder = os.path.dirname(path)  # noqa: PTH120 -- as above
    sections = _mapping("the file", given, _SECTIONS)
    tls_section = _mapping("tls_server_config", sections.get("tls_server_config"), tls.KEYS)
    http = _mapping("http_server_config", sections.get("http_server_config"), ("http2", "headers"))
    return AccessRules(
        context=tls.context(tls_section, folder) if tls_section else None,
        allowed_names=tls.allowed_names(tls_section),
        users=_users(_mapping("basic_auth_users", sections.get("basic_auth_users"))),
        headers=_headers(_mapping("http_server_config.headers", http.get("headers"))),
        bucket=_bucket(_mapping("rate_limit", sections.get("rate_limit"), ("interval", "burst"))),
        files=(path, *tls.files(tls_section, folder).values()),
    )


def _headers(headers: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            raise _ValueError(
                f"http_server_config.headers.{name!r} is not a valid header; write Latin letters on one line"
            )
    return tuple((str(name), str(value)) for name, value in headers.items())


def _users(users: Mapping[str, Any]) -> dict[str, str]:
    for name, hashed in users.items():
        if not _HASH.fullmatch(str(hashed)):
            raise _ValueError(f"basic_auth_users.{name} is not a bcrypt hash; create one with: htpasswd -nB {name}")
    if users:
        try:
            passwords.hasher()
        except passwords.NoBcryptError as error:
            raise _ValueError(str(error)) from None
    return {str(name): str(hashed) for name, hashed in users.items()}


def _bucket(limit: Mapping[str, Any]) -> TokenBucket | None:
    try:
        interval = parse_go_duration(str(limit.get("interval", 0)))
    except ValueError as error:
        raise _ValueError(f"rate_limit.interval: {error}") from None
    burst = limit.get("burst", 0)
    if not interval:
        return None
    if not isinstance(burst, int) or burst < 1:
        raise _ValueError(f"rate_limit.burst: {burst} allows no request; write 1 or more")
    return TokenBucket(interval, burst)


def _mapping(what: str, given: object, keys: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _ValueError(f"{what} is not a mapping; write KEY: VALUE lines")
    if keys and (unknown := [key for key in given if key not in keys]):
        raise _ValueError(f"{what} has the unknown key {unknown[0]}; use one of {', '.join(keys)}")
    return given


def _brief(error: Exception) -> str:
    """Return an error and its remedy in one line, without the content of the file."""
    if isinstance(error, OSError):
        return f"{error.strerror}; name a file that the agent may read"
    mark = getattr(error, "problem_mark", None)
    why = f"{getattr(error, 'problem', 'an error')} in line {mark.line + 1}" if mark is not None else str(error)
    return f"invalid YAML ({why}); write KEY: VALUE lines"
