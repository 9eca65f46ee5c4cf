"""Translation of node_exporter 1.12.1's command lines, so that they work unchanged.

Each flag of node_exporter has the same effect, is logged as having no effect, or is an error with a remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.config.loader import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_RENAMED = {
    "--collector.powersupply.ignored-supplies": "--collector.powersupplyclass.ignored-supplies",
    "--web.disable-exporter-metrics": "--no-collector.agent",
    "--no-web.disable-exporter-metrics": "--collector.agent",
    "--help-long": "--help",
    "--no-help": "--help",
    "--no-version": "--version",
}
_VALUES = {("--log.format", "logfmt"): "text"}
_OWN_LIMITS = "the agent has its own time limits for mounts"
_VALUE_WITHOUT_EFFECT = {
    "--runtime.gomaxprocs": "the agent has no Go runtime",
    "--collector.filesystem.mount-timeout": _OWN_LIMITS,
    "--collector.filesystem.stat-workers": _OWN_LIMITS,
}
_SWITCH_WITHOUT_EFFECT = {
    "collector.cpu.guest": "the agent always exposes guest time",
    "collector.netclass.ignore-invalid-speed": "the agent never exposes an unknown link speed",
    **{f"collector.{name}.netlink": "the agent reads the kernel's files" for name in ("arp", "netclass", "netdev")},
}
_UNSUPPORTED = {
    "collector.netclass_rtnl.with-stats": "the agent reads the kernel's files, not netlink",
    "collector.netdev.address-info": "the agent does not expose addresses of network devices",
    "collector.netdev.enable-detailed-metrics": "the agent exposes the standard names only",
    "collector.netdev.label-ifalias": "the agent does not expose the alias as a label",
    "web.systemd-socket": "the agent opens its sockets itself, at --web.listen-address",
}
"""Switches that the agent lacks: turning one off is accepted, turning one on is an error."""
_ABSENT = {
    **dict.fromkeys(("boottime", "buddyinfo", "cgroups", "cpu_vulnerabilities", "devstat", "drbd", "drm", "exec"), ""),
    **dict.fromkeys(("ksmd", "lnstat", "logind", "meminfo_numa", "mountstats", "netisr", "network_route"), ""),
    **dict.fromkeys(("nvmesubsystem", "softirqs", "swap", "thermal", "xfrm", "zoneinfo"), ""),
    "ethtool": "device-include device-exclude metrics-include",
    "interrupts": "name-include name-exclude [no-]include-zeros",
    "ntp": "server server-port protocol-version ip-ttl max-distance local-offset-tolerance [no-]server-is-local",
    "pcidevice": "idsfile [no-]names",
    "perf": "cpus tracepoint hardware-profilers software-profilers cache-profilers [no-]disable-hardware-profilers "
    "[no-]disable-software-profilers [no-]disable-cache-profilers",
    "qdisc": "fixtures device-include device-exclude",
    "qdisk": "device-include device-exclude",
    "runit": "servicedir",
    "slabinfo": "slabs-include slabs-exclude",
    "supervisord": "url",
    "sysctl": "include include-info",
    "systemd": "unit-include unit-exclude unit-whitelist unit-blacklist [no-]enable-task-metrics "
    "[no-]enable-restarts-metrics [no-]enable-start-time-metrics [no-]private",
    "wifi": "fixtures",
}
"""Collectors of node_exporter that the agent lacks, with their flags. Disabling one is accepted; enabling one is an
error; the flags alone have no effect in node_exporter either."""
_MOST_NESTED = 10


def translate(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments with the agent's flag names, and a note to log for each argument left out.

    Raise `SettingError` for a flag whose effect the agent cannot have.
    """
    without_value, with_value, errors = _tables()
    accepted: list[str] = []
    notes: list[str] = []
    rest = list(_expanded(arguments))
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*accepted, argument, *rest], notes
        flag, equals, value = argument.partition("=")
        if flag in errors:
            raise SettingError(f"{flag}: {errors[flag]}; remove the flag")
        if flag in without_value:
            if equals:
                raise SettingError(f"{argument}: takes no value; write {flag}")
            notes.append(f"{flag} has no effect: {without_value[flag]}")
        elif flag in with_value:
            if not equals and (not rest or rest.pop(0).startswith("-")):
                raise SettingError(f"{flag}: missing value; write {flag}=VALUE, or remove the flag")
            notes.append(f"{flag} has no effect: {with_value[flag]}")
        elif not equals and rest and (flag, rest[0]) in _VALUES:
            accepted += [flag, _VALUES[flag, rest.pop(0)]]
        else:
            accepted.append(f"{_RENAMED.get(flag, flag)}{equals}{_VALUES.get((flag, value), value)}")
    return accepted, notes


def _tables() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the flags without effect, switches and others, and the flags that are errors, each with the reason."""
    both = {f"--{no}{name}": why for name, why in _SWITCH_WITHOUT_EFFECT.items() for no in ("", "no-")}
    without_value = {**both, **{f"--no-{name}": why for name, why in _UNSUPPORTED.items()}}
    with_value = dict(_VALUE_WITHOUT_EFFECT)
    errors = {f"--{name}": why for name, why in _UNSUPPORTED.items()}
    for name, options in _ABSENT.items():
        why = f"the agent has no collector {name}"
        without_value[f"--no-collector.{name}"] = errors[f"--collector.{name}"] = why
        for option in options.split():
            switch = option.removeprefix("[no-]")
            if switch == option:
                with_value[f"--collector.{name}.{option}"] = why
            else:
                without_value |= {f"--{no}collector.{name}.{switch}": why for no in ("", "no-")}
    return without_value, with_value, errors


def _expanded(arguments: Iterable[str], depth: int = 0) -> Iterator[str]:
    """Yield the arguments, with the lines of FILE for each ``@FILE`` before ``--``; as kingpin, skip comments."""
    only_values = False
    for argument in arguments:
        only_values = only_values or argument == "--"
        if only_values or not argument.startswith("@"):
            yield argument
            continue
        if depth == _MOST_NESTED:
            raise SettingError(f"{argument}: more than {_MOST_NESTED} files name each other; give the arguments in one")
        try:
            with open(argument[1:], encoding="utf-8") as opened:  # noqa: PTH123 -- all other paths are strings
                lines = [line.removesuffix("\r") for line in opened.read().split("\n")]
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not valid text"
            raise SettingError(f"{argument}: cannot be read: {why}; give a file with one argument per line") from None
        yield from _expanded((line for line in lines if line.strip() and not line.startswith("#")), depth + 1)
