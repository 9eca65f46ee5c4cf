"""The part `year`: the size of the store of 100 nodes after a year, with the default retention of each tier.

The bytes per sample of each tier are measured on a few nodes, and extrapolated: raw samples and points of a minute
over a day, points of an hour over two months. A year of 100 nodes has 200 billion samples.
"""

from metricat_tools.bench import store
from metricat_tools.bench.hub.report import Figure

_GOAL = 8.0
_NODES, _SERIES = 100, 691


def measure(hours: int, days: int) -> list[Figure]:
    """Return the size in gigabytes. The arguments are those of `bench store`."""
    sizes = store.bytes_by_tier(hours, days)
    parts = {tier: _NODES * _SERIES * store.POINTS[tier] * size / 1e9 for tier, size in sizes.items()}
    total = sum(parts.values())
    text = f"{total:.2f} GB ({', '.join(f'{tier} {size:.2f}' for tier, size in parts.items())})"
    name = f"a year of {_NODES} nodes x {_SERIES} series, every 10 s"
    return [Figure(name, text, goal=f"{_GOAL:.0f} GB", met=total <= _GOAL)]
