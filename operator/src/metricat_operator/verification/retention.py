"""Which rules look further back than a Prometheus remembers."""

import re
from collections.abc import Iterable

from metricat_operator.facts.model import Manifest, PrometheusInstance
from metricat_operator.verification.live_rules import name_of, seconds
from metricat_operator.verification.selection import join_words

_DURATION = r"((?:\d+(?:ms|[ywdhms]))+)"
_LOOKS_BACK = re.compile(rf"\boffset\s+{_DURATION}|\[{_DURATION}[:\]]")


def forgotten(rules: Iterable[Manifest], instance: PrometheusInstance) -> str:
    """A sentence on the rules that want samples which this one has deleted by then; empty where there are none.

    Such a rule is silent, or about less than it says; nothing else tells.
    """
    kept = seconds(instance.retention)
    far: dict[str, str] = {}
    for rule in rules:
        found = ["".join(both) for both in _LOOKS_BACK.findall(str(rule["expr"]))]
        length, furthest = max(((seconds(text) or 0, text) for text in found), default=(0, ""))
        if kept and length > kept:
            far[name_of(rule)] = furthest
    if not far:
        return ""
    told = join_words([f"{name} ({how_far})" for name, how_far in far.items()])
    return (
        f", but keeps samples for {instance.retention} only (its spec.retention), and these look further back: {told}"
    )
