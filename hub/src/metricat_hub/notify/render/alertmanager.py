"""Alerts in the format of Alertmanager's API v2. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.times import rfc3339
from metricat_hub.notify.render.webhook import begin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import ActiveAlert

_MISSED_INTERVALS = 4
"""The number of intervals without a repetition after which Alertmanager resolves an alert, as for Prometheus."""


def alerts(found: Sequence[ActiveAlert], url: str, at: int, interval: int) -> bytes:
    """Return alerts as JSON. `at` is the current time, `interval` the time between two repetitions, in milliseconds."""
    return msgspec.json.encode(
        [
            {
                "labels": {name: value for name, value in one.labels if value},
                "annotations": {name: value for name, value in one.annotations.items() if value},
                "startsAt": rfc3339(min(begin(one), at)),
                "endsAt": rfc3339(at + _MISSED_INTERVALS * interval if one.resolved_at is None else one.resolved_at),
                **({"generatorURL": f"{url}/alerts/{one.fingerprint}"} if url else {}),
            }
            for one in found
        ]
    )
