"""The agent's collectors that a target sets: which run, and what they leave out."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from metricat_operator.api.fields import DeprecatedName, Model, Regex, cel, is_given, rule


class Collector(Model):
    """One part of the agent that reads one part of the node."""

    enabled: bool = Field(default=True, description="Whether the collector runs.")


def _exclusive(*things: str) -> dict[str, Any]:
    """A pattern to leave out or a pattern to take: the agent cannot follow both."""
    rules = [
        rule(
            f"!({is_given(f'exclude{thing}')} && {is_given(f'include{thing}')})",
            f"exclude{thing} and include{thing} do not go together; give one of the two",
        )
        for thing in things
    ]
    return cel(*rules)


class FilesystemCollector(Collector):
    """Space and inodes of mounted file systems."""

    exclude_mount_points: Regex | None = Field(
        default=None, description="Mount points to leave out, as a regular expression. Default: the agent's own."
    )
    include_mount_points: Regex | None = Field(
        default=None, description="Mount points to take, and no others, as a regular expression. Default: all."
    )
    exclude_fs_types: Regex | None = Field(
        default=None,
        alias="excludeFSTypes",
        description="File system types to leave out, as a regular expression. Default: the agent's own.",
    )
    include_fs_types: Regex | None = Field(
        default=None,
        alias="includeFSTypes",
        description="File system types to take, and no others, as a regular expression. Default: all.",
    )

    model_config = Model.model_config | {"json_schema_extra": _exclusive("MountPoints", "FSTypes")}


class DeviceCollector(Collector):
    """Counters of devices."""

    exclude_devices: Regex | None = Field(
        default=None, description="Devices to leave out, as a regular expression. Default: the agent's own."
    )
    include_devices: Regex | None = Field(
        default=None, description="Devices to take, and no others, as a regular expression. Default: all."
    )

    model_config = Model.model_config | {"json_schema_extra": _exclusive("Devices")}


class ProcessCollector(Collector):
    """The processes that use most CPU or memory: alerts name them."""

    top: int = Field(default=10, ge=1, le=100, description="How many processes by CPU, and as many by memory.")
    hash_names: bool = Field(default=False, description="Whether processes are reported by a hash of their name.")

    deprecated_names = (DeprecatedName("mask", "hashNames", {"none": False, "hash": True}),)


class Collectors(Model):
    """What the agent reads."""

    cpu: Collector = Field(default=Collector(), description="Time of each core by mode.")
    loadavg: Collector = Field(default=Collector(), description="Load averages.")
    meminfo: Collector = Field(default=Collector(), description="Memory and swap.")
    diskstats: DeviceCollector = Field(default=DeviceCollector(), description="Counters of block devices.")
    netdev: DeviceCollector = Field(default=DeviceCollector(), description="Counters of network devices.")
    filesystem: FilesystemCollector = Field(default=FilesystemCollector(), description="Space and inodes.")
    processes: ProcessCollector = Field(
        default=ProcessCollector(), description="The processes that use most CPU or memory: alerts name them."
    )

    deprecated_names = (
        DeprecatedName("load", "loadavg"),
        DeprecatedName("memory", "meminfo"),
        DeprecatedName("disk", "diskstats"),
        DeprecatedName("network", "netdev"),
    )


def pattern_conflicts(collectors: Collectors) -> Iterator[str]:
    """Patterns that the agent would refuse together. A pool's may meet the target's, which no rule of the CRD sees."""
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
                    f"{collector}: exclude{thing} and include{thing} do not go together; give one of the two, "
                    "and '' for one that spec.agent gives"
                )
