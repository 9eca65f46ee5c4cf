"""Encoder of InfluxDB's line protocol. Pure.

A series becomes a measurement with the metric's name, the labels as tags, and one field, ``value``, as in Prometheus'
adapter for InfluxDB. The protocol cannot express NaN and infinity, so the encoder omits such samples.
https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME, metric_name

if TYPE_CHECKING:
    from metricat_hub.model.labels import Labels
    from metricat_hub.remote.records import Samples

_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ ", "\n": r"\ "})
_TAG = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\=", "\n": r"\ "})


def encode(samples: Samples, heads: dict[Labels, str] | None = None) -> tuple[bytes, int]:
    """Return the lines, with times in milliseconds, and the number of lines.

    `heads` is a cache of the starts of lines by labels. The caller limits its size.
    """
    heads = {} if heads is None else heads
    kept = np.flatnonzero(np.isfinite(samples.values))
    own = [heads.get(labels) or _head(labels, heads) for labels in samples.labels]
    lines = [
        f"{own[series]}{value!r} {time}"
        for series, value, time in zip(
            samples.index[kept].tolist(), samples.values[kept].tolist(), samples.times[kept].tolist(), strict=True
        )
    ]
    return ("\n".join(lines) + "\n" if lines else "").encode(), len(lines)


def _head(labels: Labels, heads: dict[Labels, str]) -> str:
    """Return a line up to its value. A backslash at the end of a name or value would escape what follows it."""
    name = metric_name(labels).rstrip("\\").translate(_MEASUREMENT)
    tags = [(key.rstrip("\\"), value.rstrip("\\")) for key, value in labels if key != NAME]
    written = "".join(f",{key.translate(_TAG)}={value.translate(_TAG)}" for key, value in tags if key and value)
    head = heads[labels] = f"{name}{written} value="
    return head
