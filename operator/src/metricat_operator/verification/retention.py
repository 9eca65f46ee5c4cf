"""Rules that need older samples than a Prometheus keeps."""

import re
from collections.abc import Iterable

from metricat_operator.facts.model import Manifest, PrometheusInstance
from metricat_operator.verification.live_rules import name_of, seconds
from metricat_operator.verification.selection import join_words
from metricat_rules.durations import PROMETHEUS_PATTERN

_LOOKBACK = re.compile(rf"\boffset\s+({PROMETHEUS_PATTERN})|\[({PROMETHEUS_PATTERN})[:\]]")


def beyond_retention(rules: Iterable[Manifest], instance: PrometheusInstance) -> str:
    """Return a clause on the rules that read samples which the instance has already deleted; empty if no rule does.

    Such a rule returns nothing, or a result of fewer samples than it states; no other check detects it.
    """
    kept = seconds(instance.retention)
    far: dict[str, str] = {}
    for rule in rules:
        found = ["".join(both) for both in _LOOKBACK.findall(str(rule["expr"]))]
        length, furthest = max(((seconds(text) or 0, text) for text in found), default=(0, ""))
        if kept and length > kept:
            far[name_of(rule)] = furthest
    if not far:
        return ""
    names = join_words([f"{name} ({duration})" for name, duration in far.items()])
    kept_for = f"{instance.retention} only (its spec.retention)"
    return f", but keeps samples for {kept_for}; these rules need older samples: {names}"
