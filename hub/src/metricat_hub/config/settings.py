"""The validated settings. No other module reads the command line, the environment or the settings file."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from metricat_agent.config.loader import RawSettings, SettingError, load, unknown_variables
from metricat_agent.config.settings import Address, address
from metricat_hub.config import oidc, outputs, requests
from metricat_hub.config.alert_history import AlertHistorySettings, alert_history_settings
from metricat_hub.config.live_settings import LiveSettings, live_settings
from metricat_hub.config.memory import default_memory, default_samples
from metricat_hub.config.options import HUB
from metricat_hub.config.remote_store import BufferBounds, RemoteStore, parse_buffer, parse_remote_store
from metricat_hub.config.rule_settings import RuleSettings, rule_settings
from metricat_hub.config.store_url import StoreUrl, parse_store_url
from metricat_hub.model.durations import format_duration, parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_hub.config.oidc import OidcSettings
    from metricat_hub.config.requests import RequestSettings

__all__ = ["Address", "QueryLimits", "Retention", "SettingError", "Settings", "parse"]

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_SECOND, _YEAR = 1_000, 365 * 86_400_000


_LEAST_MEMORY = 10_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention of each resolution of the store (raw, 1m, 1h) in milliseconds, and limits of the store."""

    raw: int
    minutes: int
    hours: int
    max_bytes: int
    max_series: int


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Limits of queries. The timeout is in milliseconds."""

    timeout: int
    concurrency: int
    samples: int
    memory: int
    series: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the hub, validated. Durations are in milliseconds."""

    config_file: str
    listen: Address
    data: Path
    server_id: str
    log_level: str
    log_format: str
    web_config: str
    insecure: bool
    anonymous_loopback: bool
    first_key_file: str
    external_url: str
    """The URL of the hub for browsers; empty: use the address in each request."""
    oidc: OidcSettings | None
    """The OpenID Connect provider; None: users log in with a password only."""
    kubernetes: bool
    """Whether to accept Bearer tokens of Kubernetes."""
    interval: int
    agent_config: str
    store_url: StoreUrl
    store: Retention
    remote_store: RemoteStore | None
    buffer: BufferBounds
    outputs: tuple[outputs.OutputSettings, ...]
    query: QueryLimits
    requests: RequestSettings
    live: LiveSettings
    rules: RuleSettings
    alert_history: AlertHistorySettings
    texts: Mapping[str, str]
    """The value of each setting as text, without secrets, for the API."""
    warnings: tuple[str, ...]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the listen addresses."""
        return all(_is_loopback(one.ip) for one in (self.listen, self.live.grpc_listen) if one)


def parse(given: Mapping[str, list[str] | list[bool] | None], environment: Mapping[str, str]) -> Settings:
    """Parse and validate the settings from flags (`given`), file and environment; raise `SettingError`."""
    raw = load(given, environment, HUB)
    listen = address(raw.get("listen"), raw.get("listen").text)
    store_url = _store_url(raw)
    settings = Settings(
        config_file=raw.get("config.file").text,
        listen=listen,
        data=data_directory(raw, environment),
        server_id=_server_id(raw),
        log_level=raw.choice("log.level"),
        log_format=raw.choice("log.format"),
        web_config=raw.get("web.config.file").text,
        insecure=raw.is_on("insecure"),
        anonymous_loopback=raw.is_on("access.anonymous-loopback"),
        first_key_file=raw.get("access.first-key-file").text,
        external_url=oidc.external_url(raw),
        oidc=oidc.parse(raw),
        kubernetes=raw.is_on("access.kubernetes"),
        interval=_interval(raw),
        agent_config=raw.get("agent.config.file").text,
        store_url=store_url,
        store=_retention(raw),
        remote_store=parse_remote_store(raw, store_url),
        buffer=parse_buffer(raw),
        outputs=_outputs(raw),
        query=QueryLimits(
            timeout=_duration(raw, "query.timeout", 1, 3_600_000),
            concurrency=raw.whole("query.max-concurrency", 1, 1_000),
            samples=_samples(raw),
            memory=_memory(raw),
            series=raw.whole("query.max-series", 1, 10**9),
        ),
        requests=requests.parse(raw),
        live=live_settings(raw),
        rules=rule_settings(raw),
        alert_history=alert_history_settings(raw),
        texts={name: "" if option.secret else raw.get(name).text for name, option in HUB.options.items()},
        warnings=(*raw.deprecations, *_unknown(environment)),
    )
    if settings.live.grpc_listen == listen and listen.port:
        raise raw.get("grpc.listen").error("the HTTP server has the same address; set another port")
    if not settings.insecure and not settings.web_config:
        _check_loopback(raw, settings)
    return settings


def _check_loopback(raw: RawSettings, settings: Settings) -> None:
    """Raise `SettingError` if other machines can reach the hub."""
    for name, at in (("listen", settings.listen), ("grpc.listen", settings.live.grpc_listen)):
        if at and not _is_loopback(at.ip):
            raise raw.get(name).error(
                f"other machines can reach {at}, but TLS is not configured; set a certificate with --web.config.file, "
                "or listen on 127.0.0.1, or allow unencrypted access with --insecure"
            )


def data_directory(raw: RawSettings, environment: Mapping[str, str]) -> Path:
    """Return the data directory; raise `SettingError` if the path exists and is not a directory."""
    value = raw.get("data")
    if value.text:
        path = Path(value.text).expanduser().absolute()
    else:
        home = environment.get("XDG_DATA_HOME", "")
        path = (Path(home) if home.startswith("/") else Path.home() / ".local" / "share") / "metricat"
    if path.exists() and not path.is_dir():
        raise value.error("not a directory; set a directory, or a path that does not exist yet")
    return path


def _samples(raw: RawSettings) -> int:
    value = raw.get("query.max-samples")
    if value.text == "auto":
        return default_samples()
    if not re.fullmatch(r"[1-9][0-9]{3,11}", value.text, re.ASCII):
        raise value.error("not a number from 1000 to 999999999999; write for example 10000000, or auto")
    return int(value.text)


def _memory(raw: RawSettings) -> int:
    value = raw.get("query.max-memory")
    if value.text == "auto":
        return default_memory()
    try:
        size = parse_size(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
    if size < _LEAST_MEMORY:
        raise value.error("a query needs at least 10MB; write for example 500MB, or auto")
    return size


def _server_id(raw: RawSettings) -> str:
    value = raw.get("server.id")
    if not value.text:
        return socket.gethostname() or "localhost"
    if not _NAME.fullmatch(value.text):
        raise value.error("invalid name; use letters, digits and ._- only, for example web-1")
    return value.text


def _interval(raw: RawSettings) -> int:
    """Return the interval; a plain number is seconds, as COLLECT_INTERVAL is commonly written."""
    value = raw.get("collect.interval")
    if value.written.startswith("COLLECT_INTERVAL") and re.fullmatch(r"[1-9][0-9]*", value.text, re.ASCII):
        return _within(raw, "collect.interval", int(value.text) * 1_000, _SECOND, 3_600_000)
    return _duration(raw, "collect.interval", _SECOND, 3_600_000)


def _retention(raw: RawSettings) -> Retention:
    retention = Retention(
        raw=_duration(raw, "store.retention.raw", 3_600_000, 100 * _YEAR),
        minutes=_duration(raw, "store.retention.1m", 3_600_000, 100 * _YEAR),
        hours=_duration(raw, "store.retention.1h", 3_600_000, 100 * _YEAR),
        max_bytes=_parsed(raw, "store.max-size", _size),
        max_series=raw.whole("store.max-series", 100, 100_000_000),
    )
    for name, longer, finer, shorter in (
        ("store.retention.1m", retention.minutes, "store.retention.raw", retention.raw),
        ("store.retention.1h", retention.hours, "store.retention.1m", retention.minutes),
    ):
        if longer < shorter:
            raise raw.get(name).error(f"shorter than --{finer}={format_duration(shorter)}; set a longer duration")
    return retention


def _size(text: str) -> int:
    size = parse_size(text)
    if size < 2**26:
        raise ValueError("below the minimum of 64MB; set a larger size, for example 1GB")
    return size


def _store_url(raw: RawSettings) -> StoreUrl:
    return _parsed(raw, "store.url", parse_store_url)


def _outputs(raw: RawSettings) -> tuple[outputs.OutputSettings, ...]:
    value = raw.get("output.url")
    try:
        found = (*outputs.from_urls(value.texts), *outputs.from_file(raw.get("config.file").text))
    except ValueError as error:
        raise value.error(str(error)) from None
    outputs.check_names(found)
    return found


def _duration(raw: RawSettings, name: str, least: int, most: int) -> int:
    return _within(raw, name, _parsed(raw, name, parse_duration), least, most)


def _within(raw: RawSettings, name: str, number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        example = HUB.options[name].default
        bounds = f"{format_duration(least)} to {format_duration(most)}"
        raise raw.get(name).error(f"outside of {bounds}; write for example {example}")
    return number


def _parsed(raw: RawSettings, name: str, parse_text: Callable[[str], T]) -> T:
    value = raw.get(name)
    try:
        return parse_text(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None


def _unknown(environment: Mapping[str, str]) -> list[str]:
    """Return a message for each variable with the hub's prefix that is not a setting."""
    return [
        f"environment variable {name} is not a setting; {f'did you mean {near}? ' if near else ''}"
        "run metricat hub --help for all settings"
        for name, near in unknown_variables(environment, HUB).items()
    ]


def _is_loopback(ip: str) -> bool:
    if ip == "localhost":
        return True
    try:
        return ipaddress.ip_address(ip.partition("%")[0]).is_loopback
    except ValueError:
        return False
