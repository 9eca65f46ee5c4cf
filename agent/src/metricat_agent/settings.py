"""What the agent is told: by flags, spelled as node_exporter's, and by NODE_NAME in the environment.

Nothing else reads the command line or the environment. A setting that cannot be used stops the agent before it listens,
with one sentence that names the flag, its value and the way out.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from metricat_agent import __version__
from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.host import Host, device_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVELS = ("debug", "info", "warn", "error")


class SettingError(Exception):
    """A setting that cannot be used; the message says which, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: an IP address (empty: all, of both families) and a port (0: any free one)."""

    ip: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written in a flag."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the agent is told, checked."""

    host: Host
    listen: tuple[Address, ...]
    telemetry_path: str
    log_level: str
    once: bool
    collectors: Mapping[str, Mapping[str, Filter]]
    """The collectors that are switched on, each with its filters by exclude flag."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Give the sentence to the caller instead of a page of usage to the terminal."""
        raise SettingError(f"{message}; see --help")


def parse(arguments: Sequence[str], environment: Mapping[str, str], table: Mapping[str, type[Collector]]) -> Settings:
    """Return the settings, or raise `SettingError`; --help and --version print and leave, as argparse does."""
    given = vars(_parser(table).parse_args(arguments))
    return Settings(
        host=Host(
            procfs=_directory("--path.procfs", given["path.procfs"], "stat"),
            sysfs=_directory("--path.sysfs", given["path.sysfs"]),
            rootfs=_directory("--path.rootfs", given["path.rootfs"]),
            node_name=environment.get("NODE_NAME", ""),
        ),
        listen=tuple(address(text) for text in given["web.listen-address"] or [":9100"]),
        telemetry_path=_url_path(given["web.telemetry-path"]),
        log_level=given["log.level"],
        once=given["once"],
        collectors={
            name: {flags.exclude: _filter(name, flags, given) for flags in collector.filter_flags}
            for name, collector in table.items()
            if _is_on(name, given)
        },
    )


def _parser(table: Mapping[str, type[Collector]]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="metricat-agent",
        description="Serves the metrics of one node to Prometheus, under node_exporter's names.",
        epilog="NODE_NAME in the environment gives the node's name, which a container cannot see by itself.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"metricat-agent {__version__}")
    add("--once", action="store_true", help="print one scrape and leave")
    add("--path.procfs", default="/proc", metavar="DIR", help="where the host's /proc is (%(default)s)")
    add("--path.sysfs", default="/sys", metavar="DIR", help="where the host's /sys is (%(default)s)")
    add("--path.rootfs", default="/", metavar="DIR", help="where the host's / is (%(default)s)")
    add(
        "--web.listen-address",
        dest="web.listen-address",
        action="append",
        metavar="[IP]:PORT",
        help="where to listen (:9100, on IPv4 and IPv6); may be given more than once",
    )
    add(
        "--web.telemetry-path",
        dest="web.telemetry-path",
        default="/metrics",
        metavar="PATH",
        help="where the metrics are (%(default)s)",
    )
    add("--log.level", default="info", choices=LEVELS, help="what to log on standard error (%(default)s)")
    add(
        "--collector.disable-defaults",
        dest="collector.disable-defaults",
        action="store_true",
        help="switch off all collectors not named by a flag",
    )
    for name, collector in sorted(table.items()):
        group = parser.add_argument_group(f"collector {name}: {collector.summary}")
        group.add_argument(f"--collector.{name}", action="store_true", default=None, help="switch it on (default)")
        group.add_argument(
            f"--no-collector.{name}",
            dest=f"collector.{name}",
            action="store_false",
            default=None,
            help="switch it off",
        )
        for flags in collector.filter_flags:
            _add_filter(group, name, flags)
    return parser


def _add_filter(group: argparse._ArgumentGroup, name: str, flags: FilterFlags) -> None:
    default = flags.default_exclude.replace("%", "%%")
    group.add_argument(
        f"--collector.{name}.{flags.exclude}",
        dest=f"collector.{name}.{flags.exclude}",
        metavar="REGEX",
        help=f"leave out these {flags.what} ({default})",
    )
    if flags.include:
        group.add_argument(
            f"--collector.{name}.{flags.include}",
            dest=f"collector.{name}.{flags.include}",
            metavar="REGEX",
            help=f"take these {flags.what} only; not together with {flags.exclude}",
        )


def _is_on(name: str, given: Mapping[str, bool | None]) -> bool:
    asked = given[f"collector.{name}"]
    return not given["collector.disable-defaults"] if asked is None else asked


def address(text: str) -> Address:
    """Parse ``[IP]:PORT``; an IPv6 address stands in brackets."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([0-9.]*|localhost)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise SettingError(
            f"--web.listen-address={text}: not an address to listen on; "
            f"write [IP]:PORT, such as :9100, 127.0.0.1:9100 or [::1]:9100"
        )
    return Address(found[1] or found[2], int(found[3]))


def _url_path(text: str) -> str:
    if not re.fullmatch(r"/[\w./~-]+", text) or text.startswith("/-/"):
        raise SettingError(
            f"--web.telemetry-path={text}: not a path of its own; write one that starts with / and is neither / nor "
            f"below /-/, such as /metrics"
        )
    return text


def _directory(flag: str, text: str, holding: str = "") -> str:
    path = text.rstrip("/") or "/"
    if not path.startswith("/") or not _exists(f"{path}/{holding}"):
        asked = f"a directory that holds '{holding}'" if holding else "a directory"
        raise SettingError(f"{flag}={text}: not {asked}; mount the host's there, or name where it is from / on")
    return path


def _exists(path: str) -> bool:
    try:
        device_of(path)
    except OSError:
        return False
    return True


def _filter(name: str, flags: FilterFlags, given: Mapping[str, str | None]) -> Filter:
    exclude_flag, include_flag = f"collector.{name}.{flags.exclude}", f"collector.{name}.{flags.include}"
    exclude, include = given[exclude_flag], given.get(include_flag)
    if exclude and include:
        raise SettingError(
            f"--{include_flag}={include}: does not go together with --{exclude_flag}={exclude}; give one of the two"
        )
    if exclude is None and not include:
        exclude = flags.default_exclude
    return Filter(_pattern(include_flag, include), _pattern(exclude_flag, exclude))


def _pattern(flag: str, text: str | None) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise SettingError(
            f"--{flag}={text}: not a regular expression ({error}); write one such as ^(a|b)$, or leave it empty"
        ) from None
