"""Computes the labels of a target's series in the store, from scrape response, target and relabelling. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.labels import from_mapping
from metricat_hub.sources.scrape import page as pages
from metricat_hub.sources.scrape.page import PageError, Sample
from metricat_hub.sources.scrape.relabel import relabel

if TYPE_CHECKING:
    from metricat_hub.model.labels import Labels
    from metricat_hub.sources.scrape.target import Target

_REMEDY = "remove labels with metric_relabel_configs, or raise the limit"


class SeriesLabels:
    """Computes the labels of the series of one target."""

    def __init__(self, target: Target) -> None:
        self._target = dict(target.labels)
        self._honor_labels = target.job.honor_labels
        self._rules = target.job.metric_relabel
        self._limits = target.job.limits

    def of(self, sample: Sample) -> Labels:
        """Return the labels of a series in the store; no labels if a relabelling rule drops the series.

        Raises:
            PageError: the labels are not valid, or exceed a limit.
        """
        exposed = pages.labels_of(sample.series, sample.kind)
        labels = dict(exposed)
        if self._honor_labels:
            labels = {**self._target, **exposed}
        else:
            labels.update(self._target)
            conflicting = [name for name in self._target if exposed.get(name)]
            for name in sorted(conflicting, key=len):
                moved = f"exported_{name}"
                while labels.get(moved):
                    moved = f"exported_{moved}"
                labels[moved] = exposed[name]
        labels = {name: value for name, value in labels.items() if value}
        if not relabel(labels, self._rules):
            return ()
        if labels and not labels.get("__name__"):
            raise PageError("relabelling removes the metric name; keep the label __name__, or drop the series")
        if "" in labels:
            raise PageError(f"the name of a label is empty in a series of {labels['__name__'][:50]}")
        self._check_limits(labels)
        return from_mapping(labels)

    def _check_limits(self, labels: dict[str, str]) -> None:
        limits = self._limits
        metric = labels.get("__name__", "")[:50]
        if limits.labels and len(labels) > limits.labels:
            raise PageError(f"{metric} has {len(labels)} labels, but label_limit is {limits.labels}; {_REMEDY}")
        for name, value in labels.items():
            if limits.label_name_length and len(name.encode()) > limits.label_name_length:
                raise PageError(
                    f"the label {name[:50]} of {metric} is longer than label_name_length_limit, which is "
                    f"{limits.label_name_length} bytes; {_REMEDY}"
                )
            if limits.label_value_length and len(value.encode()) > limits.label_value_length:
                raise PageError(
                    f"the value of the label {name[:50]} of {metric} exceeds label_value_length_limit, which is "
                    f"{limits.label_value_length} bytes; {_REMEDY}"
                )
