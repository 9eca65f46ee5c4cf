"""The validated settings, from the values that `loader` reads.

A setting that cannot be used stops the agent before it listens. The error names the setting, its value and the remedy.
"""

from __future__ import annotations

import re
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags, pattern
from metricat_agent.config.flags import GENERAL, collector_options, program
from metricat_agent.config.loader import RawSettings, SettingError, add_flags, load, new_parser
from metricat_agent.host.hostfs import Host, device_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from metricat_agent.config.loader import Value
    from metricat_agent.config.push_settings import PushSettings

__all__ = ["Address", "CollectorSettings", "Secrets", "SettingError", "Settings", "address", "parse"]


_HOST_NAME = re.compile(r"(?!-)[\w-]{1,63}(?:\.(?!-)[\w-]{1,63})*", re.ASCII)
_ANY_NAMES = ("a", "0", "/", "\x01")
"""An expression that matches all of these names matches every name: for example ``.*`` or ``veth|``."""


@dataclass(frozen=True, slots=True)
class Address:
    """A listen address: an IP address or host name (empty: all addresses, IPv4 and IPv6), a port (0: any free port)."""

    ip: str
    port: int

    def __str__(self) -> str:
        """Return the address as written in a flag."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Directories of mounted Kubernetes Secrets; empty: not configured."""

    tls: str = ""
    client_ca: str = ""
    basic_auth: str = ""

    def __bool__(self) -> bool:
        """Return whether at least one is configured."""
        return any((self.tls, self.client_ca, self.basic_auth))


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """The settings of an enabled collector: filters by the name of their exclude flag, and options by their name."""

    filters: Mapping[str, Filter]
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the agent, validated."""

    host: Host
    listen: tuple[Address, ...]
    """Empty: the agent only pushes."""
    telemetry_path: str
    web_config: str
    web_secrets: Secrets
    max_requests: int
    access_log: bool
    log_level: str
    log_format: str
    cpu_limit: float
    """The CPU limit, as a ratio of one core."""
    detailed_metrics: bool
    collector_timeout: float
    series_limit: int
    push: PushSettings | None
    """None: the agent does not push."""
    once: bool
    deprecations: tuple[str, ...]
    """Messages for the settings that were given by a former name."""
    warnings: tuple[str, ...]
    """Messages for settings that the agent accepts but that have no effect."""
    collectors: Mapping[str, CollectorSettings]


def parse(arguments: Sequence[str], environment: Mapping[str, str], table: Mapping[str, type[Collector]]) -> Settings:
    """Return the settings, or raise `SettingError`; --help and --version print and exit, as in argparse."""
    agent = program(table)
    parser = new_parser(agent)
    parser.add_argument("--once", action="store_true", help="print one scrape and exit")
    add_flags(parser, agent)
    given = vars(parser.parse_args(arguments))
    once = given.pop("once")
    raw = load(given, environment, agent)
    collectors = {name: _collector_settings(name, collector, raw) for name, collector in table.items()}
    enabled = {name: chosen for name, chosen in collectors.items() if _is_on(name, raw)}
    return Settings(
        host=Host(
            procfs=_directory(raw.get("path.procfs"), "stat") if _has_proc(raw) else "/proc",
            sysfs=_directory(raw.get("path.sysfs")) if _has_proc(raw) else "/sys",
            rootfs=_directory(raw.get("path.rootfs")) if sys.platform != "win32" else "/",
            udev_data=_absolute(value) if (value := raw.get("path.udev.data")).text else "",
            node_name=environment.get("NODE_NAME", ""),
        ),
        listen=_listen(raw),
        telemetry_path=_url_path(raw.get("web.telemetry-path")),
        web_config=raw.get("web.config.file").text,
        web_secrets=_secrets(raw),
        max_requests=raw.whole("web.max-requests", 0, 10_000),
        access_log=raw.is_on("web.access-log"),
        log_level=raw.choice("log.level"),
        log_format=raw.choice("log.format"),
        cpu_limit=raw.number("agent.cpu-limit", 0.1, 100) / 100,
        detailed_metrics=raw.is_on("agent.detailed-metrics"),
        collector_timeout=raw.seconds("collector.timeout", 0.1, 60),
        series_limit=raw.whole("collector.series-limit", 1, 1_000_000),
        push=_push(raw, environment),
        once=once,
        deprecations=raw.deprecations,
        warnings=tuple(_warnings(raw, table, enabled)),
        collectors=enabled,
    )


def _warnings(raw: RawSettings, table: Mapping[str, type[Collector]], enabled: Collection[str]) -> Iterator[str]:
    """Yield a message for each given setting that has no effect, and one if no collector is enabled."""
    for name, collector in sorted(table.items()):
        for option in collector_options(name, collector):
            value = raw.explicit(option.name)
            if value and name not in enabled and option.name != f"collector.{name}":
                why = f"the collector {name} is disabled; enable it with --collector.{name}"
                yield f"{value.written} has no effect: {why}"
    if not raw.get("push.url").text:
        for option in GENERAL:
            if option.name.startswith("push.") and (value := raw.explicit(option.name)) and value.text:
                yield f"{value.written} has no effect: the agent does not push; set --push.url"
    if not enabled:
        yield "no collector is enabled; enable one with --collector.NAME"
    udev = raw.get("path.udev.data")
    if udev.text and not _exists(udev.text):
        why = "the directory does not exist, so the labels of disks from udev are empty"
        yield f"{udev.written}: {why}; give the path of the host's directory, or remove the setting to use its default"


def _is_on(name: str, raw: RawSettings) -> bool:
    if raw.explicit(f"collector.{name}") is None and raw.is_on("collector.disable-defaults"):
        return False
    return raw.is_on(f"collector.{name}")


def _collector_settings(name: str, collector: type[Collector], raw: RawSettings) -> CollectorSettings:
    options: dict[str, object] = {}
    for option in collector.options:
        value = raw.get(f"collector.{name}.{option.name}")
        if option.switch:
            options[option.name] = raw.is_on(f"collector.{name}.{option.name}")
            continue
        try:
            options[option.name] = option.parse(_file_text(value) if option.file else "\n".join(value.texts))
        except ValueError as error:
            raise value.error(str(error)) from None
    try:
        collector.check_options(options)
    except ValueError as error:
        raise SettingError(f"--collector.{name}: {error}") from None
    return CollectorSettings({flags.exclude: _filter(name, flags, raw) for flags in collector.filter_flags}, options)


def _file_text(value: Value) -> str:
    """Return the content of a YAML file as JSON text; raise `SettingError` if it is not readable or not YAML."""
    if not value.text:
        return ""
    import json  # noqa: PLC0415 -- only needed with such a file

    from metricat_agent.config.yaml_text import YamlError, plain, read_file  # noqa: PLC0415 -- yaml needs 1 MiB

    try:
        return json.dumps(plain(read_file(value.text)))
    except YamlError as error:
        raise value.error(str(error)) from None


def _secrets(raw: RawSettings) -> Secrets:
    tls, client_ca, basic_auth = (raw.get(f"web.{kind}-secret") for kind in ("tls", "client-ca", "basic-auth"))
    secrets = Secrets(tls.text, client_ca.text, basic_auth.text)
    file = raw.get("web.config.file")
    if secrets and file.text:
        raise file.error("cannot be combined with --web.*-secret; give the file or the Secrets")
    if secrets.client_ca and not secrets.tls:
        raise client_ca.error("client certificates need TLS; give --web.tls-secret too")
    return secrets


def _listen(raw: RawSettings) -> tuple[Address, ...]:
    """Return the listen addresses, which may be none if the agent pushes."""
    value = raw.get("web.listen-address")
    if value.texts == ("",) and raw.get("push.url").text:
        return ()
    return _addresses(value)


def _push(raw: RawSettings, environment: Mapping[str, str]) -> PushSettings | None:
    if not raw.get("push.url").text:
        return None
    from metricat_agent.config import push_settings  # noqa: PLC0415 -- an agent that does not push need not import it

    return push_settings.parse(raw, environment.get("NODE_NAME", "") or socket.gethostname())


def _addresses(value: Value) -> tuple[Address, ...]:
    """Return the listen addresses; raise `SettingError` if two are the same address, or one contains the other."""
    found: list[Address] = []
    for text in value.texts:
        this = address(value, text)
        if other := next((one for one in found if _overlap(one, this)), None):
            raise value.error(f"{other} and {this} are the same address, or one contains the other; remove one of them")
        found.append(this)
    return tuple(found)


def _overlap(one: Address, other: Address) -> bool:
    if one.port != other.port or not one.port:
        return False
    every = ("", "::", "0.0.0.0")  # noqa: S104 -- compared only
    names = {_packed(one.ip), _packed(other.ip)}
    if len(names) == 1 or "" in (one.ip, other.ip):
        return True
    if "::" in names:  # IPv4 too, as `listener` binds it
        return True
    return any(ip in every for ip in names) and not any(":" in ip for ip in names)


def _packed(ip: str) -> str:
    """Return an IPv6 address in its shortest form, so that equal ones are equal texts; any other text unchanged."""
    if ":" not in ip:
        return ip
    plain, percent, scope = ip.partition("%")
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, plain)) + percent + scope


def address(value: Value, text: str) -> Address:
    """Parse ``[IP]:PORT`` (IPv6 with brackets); raise the `SettingError` of the setting ``value`` if it is invalid."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([\w.-]*)):(0|[1-9][0-9]{0,4})", text, re.ASCII)
    if not found or int(found[3]) > 65535 or not _is_ip(found[1] or found[2]):
        raise value.error("not a listen address; write [IP]:PORT, for example :9100, 127.0.0.1:9100 or [::1]:9100")
    return Address(found[1] or found[2], int(found[3]))


def _is_ip(text: str) -> bool:
    """Return whether the text is an IP address, empty (all addresses) or the name of a host, such as localhost."""
    if not text or (_HOST_NAME.fullmatch(text) and re.search("[a-zA-Z]", text)):
        return True
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        socket.inet_pton(family, text.partition("%")[0])
    except OSError:
        return False
    return True


def _url_path(value: Value) -> str:
    parts = value.text.rstrip("/").split("/")[1:]
    usable = re.fullmatch(r"/[\w./~-]*", value.text, re.ASCII) and not value.text.startswith("/-/")
    if not usable or any(part in ("", ".", "..") for part in parts):  # clients remove such parts
        raise value.error(
            "not a usable path; write one that starts with /, is not below /-/, has no part '', '.' or '..' and holds "
            "only letters, digits and _./~-"
        )
    return value.text


def _has_proc(raw: RawSettings) -> bool:
    """Return whether to read /proc and /sys: by default only on Linux."""
    return sys.platform == "linux" or bool(raw.explicit("path.procfs") or raw.explicit("path.sysfs"))


def _directory(value: Value, holding: str = "") -> str:
    path = value.text.rstrip("/") or value.text[:1]
    if not path.startswith("/") or not _exists(f"{path}/{holding}"):
        wanted = f"a directory that contains '{holding}'" if holding else "a directory"
        raise value.error(f"not {wanted}; mount the host's directory there, or give its absolute path")
    return path


def _absolute(value: Value) -> str:
    if not value.text.startswith("/"):
        raise value.error("not an absolute path; write one that starts with /")
    return value.text.rstrip("/") or "/"


def _exists(path: str) -> bool:
    try:
        device_of(path)
    except OSError:
        return False
    return True


def _filter(name: str, flags: FilterFlags, raw: RawSettings) -> Filter:
    exclude = raw.explicit(f"collector.{name}.{flags.exclude}")
    include = raw.explicit(f"collector.{name}.{flags.include}") if flags.include else None
    if exclude and include and exclude.text and include.text:
        raise include.error(f"cannot be combined with {exclude.written}; give one of the two")
    if exclude is None and not (include and include.text):
        exclude = raw.get(f"collector.{name}.{flags.exclude}")
    excluded = _pattern(exclude)
    if exclude and excluded and all(excluded.search(name) for name in _ANY_NAMES):
        raise exclude.error(
            f"matches every name, so it excludes all {flags.what}; write a narrower pattern, or --no-collector.{name}"
        )
    return Filter(_pattern(include), excluded)


def _pattern(value: Value | None) -> re.Pattern[str] | None:
    if value is None or not value.text:
        return None
    try:
        return pattern(value.text)
    except ValueError as error:
        raise value.error(f"{error}, or leave it empty") from None
