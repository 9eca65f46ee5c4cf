"""The recording rules: one series per measure that a person may ask for by name."""

from dataclasses import dataclass

KEYS = "namespace, service, node, pool"
"""What names one node of one target. A node that moves between pools may run two agents for a moment."""

_FILESYSTEM = f"{KEYS}, device, mountpoint, fstype"


@dataclass(frozen=True)
class Recording:
    """A recording rule; `<selector>` keeps it to one target's series, `<window>` becomes its rate window."""

    name: str
    expr: str


def _used(free: str, total: str, keys: str = KEYS) -> str:
    """Per cent of `total` that is not `free`."""
    return f"100 * (1 - max by ({keys}) ({free}{{<selector>}}) / max by ({keys}) ({total}{{<selector>}}))"


RECORDINGS: tuple[Recording, ...] = (
    Recording(
        "metricat:node_cpu_usage:percent",
        f"100 * (1 - avg by ({KEYS}) (sum by ({KEYS}, cpu) "
        '(rate(node_cpu_seconds_total{mode=~"idle|iowait|steal",<selector>}[<window>]))))',
    ),
    Recording(
        "metricat:node_memory_usage:percent", _used("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes")
    ),
    Recording(
        "metricat:node_filesystem_usage:percent",
        _used("node_filesystem_avail_bytes", "node_filesystem_size_bytes", _FILESYSTEM)
        + f" and max by ({_FILESYSTEM}) (node_filesystem_readonly{{<selector>}}) == 0",
    ),
)
