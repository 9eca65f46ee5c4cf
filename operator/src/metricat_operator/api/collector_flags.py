"""The agent's collectors and their flags that have no field of their own in `spec.agent.collectors`.

A contract test compares these tables with the agent.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool, StringConstraints

from metricat_operator.api.fields import cel, regex, rule

COLLECTORS = (
    *("agent", "arp", "bcache", "bcachefs", "bonding", "btrfs", "conntrack", "cpufreq", "dmi", "dmmultipath", "edac"),
    *("entropy", "fibrechannel", "filefd", "hwmon", "infiniband", "ipvs", "kernel_hung", "mdadm", "netclass"),
    *("netstat", "nfs", "nfsd", "nvme", "os", "powersupplyclass", "pressure", "rapl", "schedstat", "selinux"),
    *("sockstat", "softnet", "stat", "tapestats", "tcpstat", "thermal_zone", "time", "timex", "udp_queues", "uname"),
    *("vmstat", "watchdog", "xfs", "zfs"),
)
PATTERN_FLAGS = (
    *("arp.device-exclude", "arp.device-include", "cpu.info.bugs-include", "cpu.info.flags-include"),
    *("hwmon.chip-exclude", "hwmon.chip-include", "hwmon.sensor-exclude", "hwmon.sensor-include"),
    *("infiniband.device-exclude", "infiniband.device-include", "netclass.ignored-devices", "netstat.fields"),
    *("powersupplyclass.ignored-supplies", "tapestats.ignored-devices", "vmstat.fields"),
)
"""Flags whose value is a regular expression."""
SWITCH_FLAGS = (
    *("bcache.priorityStats", "cpu.info", "processes.thread-states", "rapl.enable-zone-label", "stat.softirq"),
)
"""Flags without a value: `--collector.NAME` and `--no-collector.NAME`."""
BACKEND_LABELS = "ipvs.backend-labels"
FLAGS = (*PATTERN_FLAGS, *SWITCH_FLAGS, BACKEND_LABELS)

_IPVS_LABELS = ("local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark")


def _known(names: tuple[str, ...], what: str, field: str) -> tuple[AfterValidator, dict[str, str]]:
    """Return the check of a map's keys for the operator, and the same check as a CEL rule.

    The message of the CEL rule does not contain the key: the rule would need the list of names twice, and the size of
    the CRD is limited.
    """
    message = f"is not {what}. To list the keys, run: kubectl explain mtarget.spec.agent.collectors.{field}"

    def check(mapping: dict[str, Any]) -> dict[str, Any]:
        if unknown := [key for key in mapping if key not in names]:
            raise ValueError(f"{unknown[0]} {message}")
        return mapping

    return AfterValidator(check), rule(f"self.all(key, key in {list(names)!r})", f"a key {message}")


def _check_values(flags: dict[str, str]) -> dict[str, str]:
    for name, value in flags.items():
        if name in PATTERN_FLAGS:
            regex(value)
        elif name in SWITCH_FLAGS and value not in {"true", "false"}:
            raise ValueError(f"{name}: {value!r} is not a boolean. Write 'true' or 'false'.")
        elif name == BACKEND_LABELS and not set(filter(None, value.split(","))) <= set(_IPVS_LABELS):
            raise ValueError(f"{name}: {value!r} has an unknown label. Use {', '.join(_IPVS_LABELS)}.")
    for name, value in flags.items():
        other = f"{name.removesuffix('-exclude')}-include"
        if name.endswith("-exclude") and value and flags.get(other):
            raise ValueError(f"{name} and {other} cannot be combined. Set one of them to ''.")
    return flags


_KNOWN_COLLECTORS, _COLLECTORS_IN_CEL = _known(COLLECTORS, "a collector that switches can set", "switches")
_KNOWN_FLAGS, _FLAGS_IN_CEL = _known(FLAGS, "a flag that flags can set", "flags")

Switches = Annotated[
    dict[str, StrictBool], _KNOWN_COLLECTORS, Field(max_length=64, json_schema_extra=cel(_COLLECTORS_IN_CEL))
]
Flags = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=1024)]],
    _KNOWN_FLAGS,
    AfterValidator(_check_values),
    Field(max_length=32, json_schema_extra=cel(_FLAGS_IN_CEL)),
]


def arguments(switches: Mapping[str, bool], flags: Mapping[str, str]) -> Iterator[str]:
    """Yield the arguments of the agent. Kubernetes expands $(NAME) in arguments; $$ is a literal $."""
    for name, enabled in sorted(switches.items()):
        yield f"--{'' if enabled else 'no-'}collector.{name}"
    for name, value in sorted(flags.items()):
        if name in SWITCH_FLAGS:
            yield f"--{'' if value == 'true' else 'no-'}collector.{name}"
        else:
            yield f"--collector.{name}={value.replace('$', '$$')}"
