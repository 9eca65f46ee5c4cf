"""The settings of request handling: rate limits, response cache, Redis, access log and audit log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from metricat_agent.config.loader import Option, SettingError
from metricat_hub.model.durations import parse_duration, parse_size

if TYPE_CHECKING:
    from metricat_agent.config.loader import RawSettings

MASKS = ("all", "values", "none")
LOGS: Final = (
    Option("web.access-log", "false", "log every request as a line of JSON", switch=True),
    Option("log.access-file", "", "file of the access log, which it also enables; default: standard error", "FILE"),
    Option("log.audit-file", "", "file of the audit log; default: standard error", "FILE"),
    Option(
        "log.mask",
        "all",
        "what the access log hides of URL parameters: all hides every value; values hides only texts that can be "
        "process names or paths; none hides secrets only",
        choices=MASKS,
    ),
)
REQUESTS: Final = (
    Option("rate-limit.keys", "1000", "limit of requests of an API key in an hour; 0: no limit", "NUMBER"),
    Option(
        "rate-limit.users",
        "20000",
        "limit of requests of a user or ServiceAccount, or of all anonymous clients together, in an hour; 0: no limit",
        "NUMBER",
    ),
    Option("rate-limit.writes", "6000", "limit of pushes of samples by a client in a minute; 0: no limit", "NUMBER"),
    Option("rate-limit.scrapes", "3600", "limit of requests of a client to /metrics in an hour; 0: no limit", "NUMBER"),
    Option("cache.size", "4MB", "memory for cached responses to queries about the past; 0: no cache", "SIZE"),
    Option("cache.ttl", "5m", "how long to keep a cached response, at most 5m", "DURATION"),
    Option(
        "redis.url",
        "",
        "URL of a Redis that hubs share for rate limits and cached responses, for example redis://HOST:6379/0",
        "URL",
        secret=True,
    ),
    Option(
        "web.max-connections",
        "1000",
        "limit of open connections; the hub closes further connections",
        "NUMBER",
    ),
)
_REDIS = re.compile(r"(rediss?|unix)://\S+", re.ASCII)
_DATABASE = re.compile(r"(/[0-9]*)?")
_MOST_TTL = 300_000


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """The settings of request handling. Limits are numbers of requests; 0: no limit."""

    access_log: bool = False
    access_file: str = ""
    audit_file: str = ""
    mask: str = "all"
    keys_per_hour: int = 1_000
    users_per_hour: int = 20_000
    writes_per_minute: int = 6_000
    scrapes_per_hour: int = 3_600
    cache_bytes: int = 4 << 20
    cache_milliseconds: int = _MOST_TTL
    redis_url: str = ""
    connections: int = 1_000


def parse(raw: RawSettings) -> RequestSettings:
    """Parse the settings of request handling; raise `SettingError` for an invalid value."""
    return RequestSettings(
        access_log=raw.is_on("web.access-log") or bool(raw.get("log.access-file").text),
        access_file=raw.get("log.access-file").text,
        audit_file=raw.get("log.audit-file").text,
        mask=raw.choice("log.mask"),
        keys_per_hour=raw.whole("rate-limit.keys", 0, 10**9),
        users_per_hour=raw.whole("rate-limit.users", 0, 10**9),
        writes_per_minute=raw.whole("rate-limit.writes", 0, 10**9),
        scrapes_per_hour=raw.whole("rate-limit.scrapes", 0, 10**9),
        cache_bytes=_size(raw),
        cache_milliseconds=_ttl(raw),
        redis_url=_redis(raw),
        connections=raw.whole("web.max-connections", 10, 100_000),
    )


def _size(raw: RawSettings) -> int:
    value = raw.get("cache.size")
    try:
        size = 0 if value.text == "0" else parse_size(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
    if size > 2**40:
        raise value.error("above 1TB; write a smaller size, for example 4MB")
    return size


def _ttl(raw: RawSettings) -> int:
    value = raw.get("cache.ttl")
    try:
        found = parse_duration(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
    if not 1_000 <= found <= _MOST_TTL:
        raise value.error("outside of 1s to 5m; write for example 1m")
    return found


def _redis(raw: RawSettings) -> str:
    value = raw.get("redis.url")
    if value.text and not _is_redis_url(value.text):
        raise SettingError(f"{_name(value.written)}: not a Redis URL; write for example redis://127.0.0.1:6379/0")
    if value.text:
        from importlib.util import find_spec  # noqa: PLC0415 -- only with Redis

        if find_spec("redis") is None:
            raise SettingError(
                f"{_name(value.written)}: the Python package redis is missing; install it with: pip install "
                "'metricat-hub[redis]'"
            )
    return value.text


def _is_redis_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        valid = url.scheme == "unix" or (url.hostname and url.port != 0 and _DATABASE.fullmatch(url.path))
    except ValueError:
        return False
    return bool(_REDIS.fullmatch(text) and valid)


def _name(written: str) -> str:
    """Return the setting without its value, which may have a password."""
    return written.partition("=")[0]
