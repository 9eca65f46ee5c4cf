"""What the agent is told, checked: nothing else reads the command line, the environment or the file of settings.

A setting that cannot be used stops the agent before it listens, with one sentence that names the setting, its value and
the way out.
"""

from __future__ import annotations

import re
import socket
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.config.loader import RawSettings, SettingError, load
from metricat_agent.host.hostfs import Host, device_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_agent.config.loader import Value

__all__ = ["Address", "CollectorSettings", "Secrets", "SettingError", "Settings", "address", "parse"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: an IP address (empty: all, of both families) and a port (0: any free one)."""

    ip: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written in a flag."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Directories where Kubernetes mounted Secrets; empty: there is none."""

    tls: str = ""
    client_ca: str = ""
    basic_auth: str = ""

    def __bool__(self) -> bool:
        """Whether there is one at all."""
        return any((self.tls, self.client_ca, self.basic_auth))


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """A collector that is switched on: its filters by exclude flag, its options by name."""

    filters: Mapping[str, Filter]
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the agent is told, checked."""

    host: Host
    listen: tuple[Address, ...]
    telemetry_path: str
    web_config: str
    web_secrets: Secrets
    max_requests: int
    access_log: bool
    log_level: str
    log_format: str
    cpu_budget: float
    """As a ratio of one core."""
    deadline: float
    series_budget: int
    once: bool
    collectors: Mapping[str, CollectorSettings]


def parse(arguments: Sequence[str], environment: Mapping[str, str], table: Mapping[str, type[Collector]]) -> Settings:
    """Return the settings, or raise `SettingError`; --help and --version print and leave, as argparse does."""
    given, once = load(arguments, environment, table)
    return Settings(
        host=Host(
            procfs=_directory(given.get("path.procfs"), "stat") if _has_proc(given) else "/proc",
            sysfs=_directory(given.get("path.sysfs")) if _has_proc(given) else "/sys",
            rootfs=_directory(given.get("path.rootfs")) if sys.platform != "win32" else "/",
            udev_data=_directory(value) if (value := given.get("path.udev.data")).text else "",
            node_name=environment.get("NODE_NAME", ""),
        ),
        listen=tuple(address(given.get("web.listen-address"), text) for text in given.get("web.listen-address").texts),
        telemetry_path=_url_path(given.get("web.telemetry-path")),
        web_config=given.get("web.config.file").text,
        web_secrets=_secrets(given),
        max_requests=int(given.number("web.max-requests", 0, 10_000)),
        access_log=given.is_on("web.access-log"),
        log_level=given.choice("log.level"),
        log_format=given.choice("log.format"),
        cpu_budget=given.number("self.cpu-budget", 0.1, 100) / 100,
        deadline=given.number("collector.deadline", 0.1, 60),
        series_budget=int(given.number("collector.series-budget", 1, 1_000_000)),
        once=once,
        collectors={name: _chosen(name, collector, given) for name, collector in table.items() if _is_on(name, given)},
    )


def _is_on(name: str, given: RawSettings) -> bool:
    if given.named(f"collector.{name}") is None and given.is_on("collector.disable-defaults"):
        return False
    return given.is_on(f"collector.{name}")


def _chosen(name: str, collector: type[Collector], given: RawSettings) -> CollectorSettings:
    options: dict[str, object] = {}
    for option in collector.options:
        value = given.get(f"collector.{name}.{option.name}")
        if option.switch:
            options[option.name] = given.is_on(f"collector.{name}.{option.name}")
            continue
        try:
            options[option.name] = option.parse("\n".join(value.texts))
        except ValueError as error:
            raise value.error(str(error)) from None
    return CollectorSettings({flags.exclude: _filter(name, flags, given) for flags in collector.filter_flags}, options)


def _secrets(given: RawSettings) -> Secrets:
    tls, client_ca, basic_auth = (given.get(f"web.{kind}-secret") for kind in ("tls", "client-ca", "basic-auth"))
    secrets = Secrets(tls.text, client_ca.text, basic_auth.text)
    file = given.get("web.config.file")
    if secrets and file.text:
        raise file.error("does not go together with --web.*-secret; give the file or the Secrets")
    if secrets.client_ca and not secrets.tls:
        raise client_ca.error("there are no client certificates without TLS; give --web.tls-secret too")
    return secrets


def address(value: Value, text: str) -> Address:
    """Parse ``[IP]:PORT``; an IPv6 address stands in brackets."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([0-9.]*|localhost)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535 or not _is_ip(found[1] or found[2]):
        raise value.error("not an address to listen on; write [IP]:PORT, such as :9100, 127.0.0.1:9100 or [::1]:9100")
    return Address(found[1] or found[2], int(found[3]))


def _is_ip(text: str) -> bool:
    """Tell whether it is an address; so are nothing (all of them) and localhost."""
    if not text or text == "localhost":
        return True
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        socket.inet_pton(family, text.partition("%")[0])
    except OSError:
        return False
    return True


def _url_path(value: Value) -> str:
    if not re.fullmatch(r"/[\w./~-]+", value.text) or value.text.startswith("/-/"):
        raise value.error(
            "not a path of its own; write one that starts with / and is neither / nor below /-/, such as /metrics"
        )
    return value.text


def _has_proc(given: RawSettings) -> bool:
    """Tell whether /proc and /sys are asked for: elsewhere than on Linux there are none by default."""
    return sys.platform == "linux" or bool(given.named("path.procfs") or given.named("path.sysfs"))


def _directory(value: Value, holding: str = "") -> str:
    path = value.text.rstrip("/") or "/"
    if not path.startswith("/") or not _exists(f"{path}/{holding}"):
        asked = f"a directory that holds '{holding}'" if holding else "a directory"
        raise value.error(f"not {asked}; mount the host's there, or name where it is from / on")
    return path


def _exists(path: str) -> bool:
    try:
        device_of(path)
    except OSError:
        return False
    return True


def _filter(name: str, flags: FilterFlags, given: RawSettings) -> Filter:
    exclude = given.named(f"collector.{name}.{flags.exclude}")
    include = given.named(f"collector.{name}.{flags.include}") if flags.include else None
    if exclude and include and exclude.text and include.text:
        raise include.error(f"does not go together with {exclude.where}; give one of the two")
    if exclude is None and not (include and include.text):
        exclude = given.get(f"collector.{name}.{flags.exclude}")
    return Filter(_pattern(include), _pattern(exclude))


def _pattern(value: Value | None) -> re.Pattern[str] | None:
    if value is None or not value.text:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # [[:alpha:]] is known to Go, and means something else here
            return re.compile(value.text)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise value.error(f"not a regular expression ({error}); write one such as ^(a|b)$, or leave it empty") from None
