"""The nodes whose series the shipped rules do not read, because the series lack labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.evaluation.shipped import LABELS
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Reader

_METRIC = Matcher(NAME, "=", "node_load1")
"""Each agent, and each node_exporter, exports this metric."""
_LOOKBACK = 300_000


def nodes_without_alerts(store: Reader, now: int) -> Sequence[str]:
    """Return the sorted names of the nodes that have series of the last 5 minutes, but no shipped alert.

    Raises:
        HubError: the store cannot be read.
    """

    def names(*matchers: Matcher) -> set[str]:
        return set(store.label_values("node", [[_METRIC, *matchers]], now - _LOOKBACK, now)) - {""}

    return sorted(names() - names(*(Matcher(name, "=", value) for name, value in LABELS.items())))
