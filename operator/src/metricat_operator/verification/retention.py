"""Which rules look further back than a Prometheus remembers."""

import re
from collections.abc import Iterable

from metricat_operator.facts.model import Manifest, PrometheusInstance
from metricat_operator.verification.live_rules import name_of
from metricat_operator.verification.selection import join_words

_UNITS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
_PART = re.compile(r"(\d+)(ms|[ywdhms])")
_DURATION = r"((?:\d+(?:ms|[ywdhms]))+)"
_LOOKS_BACK = re.compile(rf"\boffset\s+{_DURATION}|\[{_DURATION}[:\]]")


def _seconds(duration: str) -> float:
    """The length of a duration as Prometheus writes it, such as `1d12h`."""
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(duration))


def forgotten(rules: Iterable[Manifest], instance: PrometheusInstance) -> str:
    """A sentence on the rules that want samples which this one has deleted by then; empty where there are none.

    Such a rule is silent, or about less than it says; nothing else tells.
    """
    kept = _seconds(instance.retention)
    far: dict[str, str] = {}
    for rule in rules:
        found = ["".join(both) for both in _LOOKS_BACK.findall(str(rule["expr"]))]
        furthest = max(found, key=_seconds, default="")
        if kept and _seconds(furthest) > kept:
            far[name_of(rule)] = furthest
    if not far:
        return ""
    told = join_words([f"{name} ({how_far})" for name, how_far in far.items()])
    return (
        f", but keeps samples for {instance.retention} only (its spec.retention), and these look further back: {told}"
    )
