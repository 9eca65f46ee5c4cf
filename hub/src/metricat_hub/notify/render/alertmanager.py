"""Alerts as Alertmanager's API v2 accepts them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.times import rfc3339
from metricat_hub.notify.render.webhook import begin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import ActiveAlert

_MISSED_INTERVALS = 4
"""A firing alert ends after so many intervals without a repetition, as Prometheus' alerts do."""


def alerts(found: Sequence[ActiveAlert], url: str, at: int, interval: int) -> bytes:
    """Return the JSON text of alerts at a time; `interval` is the time until they are sent again, in milliseconds."""
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
