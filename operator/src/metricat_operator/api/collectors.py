"""Settings of the agent's collectors: whether each runs, and the devices and mount points that it excludes."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt, StringConstraints

from metricat_operator.api.collector_flags import (
    BACKEND_LABELS,
    COLLECTORS,
    PATTERN_FLAGS,
    SWITCH_FLAGS,
    Flags,
    Switches,
)
from metricat_operator.api.fields import NODE_PATH, DeprecatedName, Model, Regex, cel, is_given, rule
from metricat_operator.api.probes import ProbeTarget


class Collector(Model):
    """A collector of the agent."""

    enabled: StrictBool = Field(default=True, description="Whether the collector runs.")


def _exclusive(*things: str) -> dict[str, Any]:
    """Return the rules that allow an exclude pattern or an include pattern of each thing, not both."""
    rules = [
        rule(
            f"!({is_given(f'exclude{thing}')} && {is_given(f'include{thing}')})",
            f"exclude{thing} and include{thing} cannot be combined. Remove one of them.",
        )
        for thing in things
    ]
    return cel(*rules)


class FilesystemCollector(Collector):
    """Space and inodes of mounted filesystems."""

    exclude_mount_points: Regex | None = Field(
        default=None,
        description="Regular expression that excludes matching mount points. Default: the agent's pattern "
        "(docs/reference/agent-metrics.md).",
    )
    include_mount_points: Regex | None = Field(
        default=None,
        description="Regular expression: include only matching mount points. With it, excludeMountPoints has no "
        "default.",
    )
    exclude_fs_types: Regex | None = Field(
        default=None,
        alias="excludeFSTypes",
        description="Regular expression that excludes matching filesystem types. Default: the agent's pattern "
        "(docs/reference/agent-metrics.md).",
    )
    include_fs_types: Regex | None = Field(
        default=None,
        alias="includeFSTypes",
        description="Regular expression: include only matching filesystem types. excludeFSTypes then has no default.",
    )

    model_config = Model.model_config | {"json_schema_extra": _exclusive("MountPoints", "FSTypes")}


class DeviceCollector(Collector):
    """Counters of devices."""

    exclude_devices: Regex | None = Field(
        default=None,
        description="Regular expression that excludes matching devices. Default: the agent's pattern "
        "(docs/reference/agent-metrics.md).",
    )
    include_devices: Regex | None = Field(
        default=None,
        description="Regular expression: include only matching devices. excludeDevices then has no default.",
    )

    model_config = Model.model_config | {"json_schema_extra": _exclusive("Devices")}


class ProcessCollector(Collector):
    """The processes with the highest CPU or memory usage. Alerts list them."""

    top: StrictInt = Field(
        default=10,
        ge=1,
        le=100,
        description="Number of processes to report with the highest CPU usage, and with the highest memory usage.",
    )
    hash_names: StrictBool = Field(
        default=False, description="Whether to report hashes instead of the processes' names."
    )

    deprecated_names = (DeprecatedName("mask", "hashNames", {"none": False, "hash": True}),)


class TextfileCollector(Collector):
    """Metrics of other programs, from .prom files on the node."""

    directories: tuple[Annotated[str, StringConstraints(pattern=NODE_PATH, max_length=512)], ...] = Field(
        default=(),
        max_length=8,
        description="Directories of .prom files on the node, with * as wildcard. User 65534 must be able to read them.",
    )


class ProbeCollector(Collector):
    """Probes of endpoints from every node."""

    kubernetes_api: StrictBool = Field(
        default=True,
        alias="kubernetesAPI",
        description="Whether to probe the cluster's API server from each node, by its DNS name.",
    )
    targets: tuple[ProbeTarget, ...] = Field(
        default=(),
        max_length=32,
        description="Endpoints to probe.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class Collectors(Model):
    """Settings of the agent's collectors."""

    cpu: Collector = Field(default=Collector(), description="CPU time of each CPU by mode.")
    loadavg: Collector = Field(default=Collector(), description="Load averages.")
    meminfo: Collector = Field(default=Collector(), description="Memory and swap.")
    diskstats: DeviceCollector = Field(default=DeviceCollector(), description="Counters of block devices.")
    netdev: DeviceCollector = Field(default=DeviceCollector(), description="Counters of network devices.")
    filesystem: FilesystemCollector = Field(default=FilesystemCollector(), description="Space and inodes.")
    processes: ProcessCollector = Field(
        default=ProcessCollector(), description="The processes with the highest CPU or memory usage. Alerts list them."
    )

    probe: ProbeCollector = Field(default=ProbeCollector(), description="Probes of endpoints from every node.")

    textfile: TextfileCollector = Field(
        default=TextfileCollector(), description="Metrics of other programs, from .prom files on the node."
    )
    switches: Switches = Field(
        default={},
        description="Other collectors, each with true to enable or false to disable it, for example tcpstat: true. "
        f"They are: {', '.join(COLLECTORS)}.",
    )
    flags: Flags = Field(
        default={},
        description="Other flags of collectors, without the prefix --collector., for example hwmon.chip-exclude: "
        f"acpitz. Flags with the value 'true' or 'false': {', '.join(SWITCH_FLAGS)}. Flags with other values: "
        f"{', '.join((*PATTERN_FLAGS, BACKEND_LABELS))}.",
    )

    deprecated_names = (
        DeprecatedName("load", "loadavg"),
        DeprecatedName("memory", "meminfo"),
        DeprecatedName("disk", "diskstats"),
        DeprecatedName("network", "netdev"),
    )


def pattern_conflicts(collectors: Collectors) -> Iterator[str]:
    """Yield a message for each collector with both an exclude and an include pattern, which the agent rejects.

    No rule of the CRD can check a pool's pattern against the target's.
    """
    patterns = {
        "diskstats": {"Devices": (collectors.diskstats.exclude_devices, collectors.diskstats.include_devices)},
        "netdev": {"Devices": (collectors.netdev.exclude_devices, collectors.netdev.include_devices)},
        "filesystem": {
            "MountPoints": (collectors.filesystem.exclude_mount_points, collectors.filesystem.include_mount_points),
            "FSTypes": (collectors.filesystem.exclude_fs_types, collectors.filesystem.include_fs_types),
        },
    }
    for collector, things in patterns.items():
        for thing, (exclude, include) in things.items():
            if exclude and include:
                yield (
                    f"{collector}: exclude{thing} and include{thing} cannot be combined. Remove one of them. "
                    "In a pool, set the pattern inherited from spec.agent to ''."
                )
