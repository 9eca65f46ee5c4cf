"""Decoded samples as columns, and the labels of their series. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from metricat_hub.model import labels as model_labels
from metricat_hub.sources.write.errors import InvalidSeriesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.samples import Times, Values

Key: TypeAlias = "bytes | tuple[str, ...] | Labels"
"""Identifies a series in a body: equal keys mean equal labels. Decoding a key is cheaper than decoding labels."""
MAX_LABELS = 128
MAX_NAME = 1024
MAX_VALUE = 8192
"""Limits of a series: number of labels, length of a label name, length of a label value."""
_SHOWN = 200


@dataclass(slots=True)
class Columns:
    """The samples of a body as columns of equal length, and other contents of the body."""

    keys: list[Key]
    times: Times
    values: Values
    labels_of: Callable[[Key], Labels]
    """Decodes the labels of a key; raises `InvalidSeriesError`."""
    metadata: dict[str, Metadata] = field(default_factory=dict)
    histograms: int = 0
    """Number of native histograms, which the hub does not store."""
    exemplars: int = 0
    """Number of exemplars, which the hub does not store."""
    invalid: list[str] = field(default_factory=list)
    """Errors of series that are not valid for reasons other than their labels."""


def columns(
    keys: list[Key], times: Sequence[int], values: Sequence[float], labels_of: Callable[[Key], Labels]
) -> Columns:
    """Build columns from sequences of Python numbers."""
    return Columns(keys, np.array(times, dtype=np.int64), np.array(values, dtype=np.float64), labels_of)


def checked(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Check labels; return them sorted and without empty values.

    Unsorted labels are accepted, as in Prometheus.

    Raises:
        InvalidSeriesError: a name is empty or occurs twice, the metric name is missing, or a limit is exceeded.
    """
    found = sorted([(name, value) for name, value in pairs if value or not name])
    names = {name for name, _ in found}
    if "" in names:
        raise _error("empty label name", found)
    if len(names) < len(found):
        twice = next(before[0] for before, after in pairwise(found) if before[0] == after[0])
        raise _error(f"duplicate label name {twice[:50]!r}", found)
    if model_labels.NAME not in names:
        raise _error(f"missing metric name (label {model_labels.NAME})", found)
    if len(found) > MAX_LABELS:
        raise _error(f"{len(found)} labels, more than the limit of {MAX_LABELS}", found)
    if max(map(len, names)) > MAX_NAME or max([len(value) for _, value in found]) > MAX_VALUE:
        long = next(name for name, value in found if len(name) > MAX_NAME or len(value) > MAX_VALUE)
        raise _error(
            f"the label {long[:50]!r} has a name above {MAX_NAME} or a value above {MAX_VALUE} characters", found
        )
    return tuple(found)


def _error(reason: str, pairs: list[tuple[str, str]]) -> InvalidSeriesError:
    """Return the error of a series, with its labels cut to a readable length."""
    whole = model_labels.text(tuple(pairs)).encode("ascii", "backslashreplace").decode()
    return InvalidSeriesError(f"{reason}: {whole if len(whole) <= _SHOWN else f'{whole[:_SHOWN]}...'}")
