"""Encoder of InfluxDB's line protocol. Pure.

A series becomes a measurement with the metric's name, its labels as tags, and one field, ``value``. This is what
Prometheus' adapter for InfluxDB writes. The protocol has no NaN and no infinity, so such samples are left out.
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
    """Return the lines with times in milliseconds, and how many there are.

    ``heads`` is a cache of the beginnings of lines, which the caller bounds.
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
