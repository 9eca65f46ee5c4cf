"""The default labels of the ServiceMonitor and the PrometheusRules: those by which a Prometheus selects them. Pure.

See docs/design/0046.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metricat_operator import naming
from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.facts.model import DefaultLabels, Facts, PrometheusInstance
from metricat_operator.verification.selection import Subject, join_words, missing_labels, target_patch, watch_problem

Labels = Mapping[str, str]
_Required = Mapping[PrometheusInstance, Labels]


@dataclass(frozen=True)
class Option:
    """A Prometheus that can select all objects, or one instance for each kind of object, and the required labels."""

    scraper: PrometheusInstance
    ruler: PrometheusInstance | None
    labels: DefaultLabels

    def __str__(self) -> str:
        """Return the names of the instances."""
        names = [str(self.scraper), *([str(self.ruler)] if self.ruler and self.ruler is not self.scraper else [])]
        return " with ".join(names)


@dataclass(frozen=True)
class Choice:
    """The default labels of a target's objects; or the options, if the user must choose one."""

    labels: DefaultLabels = field(default_factory=DefaultLabels)
    options: tuple[Option, ...] = ()

    def __str__(self) -> str:
        """Return the labels, as messages show them."""
        return _text(self.labels)


def choose_default_labels(name: str, namespace: str, spec: Spec, facts: Facts) -> Choice:
    """Return the labels with which one Prometheus selects all of the target's objects.

    Labels in the spec are fixed. If several Prometheuses require different labels, the user must choose. The labels of
    the live objects stay as long as a Prometheus selects the objects by them.
    """
    if spec.monitor.labels is not None and spec.alerts.labels is not None:
        return Choice()
    monitor, rules = (
        Subject(
            kind,
            "",
            {"metadata": {"namespace": namespace, "labels": {**(labels or {}), **naming.labels(name, component)}}},
            facts.namespace_labels,
        )
        for kind, component, labels in (
            ("ServiceMonitor", naming.MONITOR, spec.monitor.labels),
            ("PrometheusRule", naming.RULES, spec.alerts.labels),
        )
    )
    scrapers = _required(monitor, facts.instances, fixed=spec.monitor.labels is not None)
    rulers = _required(rules, facts.instances, fixed=spec.alerts.labels is not None)
    options = _pairs(scrapers, rulers) if spec.alerts.enabled or spec.alerts.extra_groups else []
    # Without a Prometheus for both kinds, at least get the samples. `Selected` reports what the rules lack.
    options = options or [Option(one, None, DefaultLabels(labels)) for one, labels in scrapers.items()]
    if current := [one for one in options if _is_live(one, facts)]:
        return Choice(max(current, key=lambda one: len(one.labels.monitor) + len(one.labels.rules)).labels)
    watched = [
        one
        for one in options
        if not watch_problem(monitor, one.scraper) and not (one.ruler and watch_problem(rules, one.ruler))
    ]
    return _only(_with_fewest_objects_to_label(watched))


def request_choice(name: str, namespace: str, spec: Spec, options: Sequence[Option]) -> str:
    """Return the message that names the Prometheuses, the labels that each requires, and the command to choose."""
    by_labels: dict[str, list[Option]] = {}
    for one in options:
        by_labels.setdefault(_text(one.labels), []).append(one)
    required = [
        f"{join_words([str(one) for one in same])} require{'' if len(same) > 1 else 's'} {labels}"
        for labels, same in by_labels.items()
    ]
    first = options[0]
    patch: dict[str, Any] = {}
    if spec.monitor.labels is None:
        patch["monitor"] = {"labels": dict(first.labels.monitor)}
    if spec.alerts.labels is None and first.ruler:
        patch["alerts"] = {"labels": dict(first.labels.rules)}
    return (
        f"Several Prometheuses can select the objects, but by different labels: {join_words(required, '; ')}. Set the "
        f"labels of one of them. To choose {first}, run: {target_patch(name, namespace, patch)}"
    )


def _required(subject: Subject, instances: Sequence[PrometheusInstance], *, fixed: bool) -> _Required:
    """Return the instances that can select the object, each with the labels that the object then needs."""
    found = {one: missing_labels(subject, one) for one in instances if subject.kind in one.selectors}
    return {one: labels for one, labels in found.items() if labels is not None and not (fixed and labels)}


def _pairs(scrapers: _Required, rulers: _Required) -> list[Option]:
    """Return the pairs in which the instance with the rules has the samples, or can get them.

    A PrometheusAgent sends its samples to another Prometheus, and a ThanosRuler queries others for them.
    """
    return [
        Option(scraper, ruler, DefaultLabels(monitor, rules))
        for scraper, monitor in scrapers.items()
        for ruler, rules in rulers.items()
        if scraper is ruler or scraper.kind == "PrometheusAgent" or ruler.kind == "ThanosRuler"
    ]


def _is_live(option: Option, facts: Facts) -> bool:
    """Return whether the live objects have the labels of an option that requires some."""
    required = {"ServiceMonitor": option.labels.monitor, "PrometheusRule": option.labels.rules}
    live = [(required[key.kind], child) for key, child in facts.children.items() if key.kind in required]
    return any(labels for labels, _ in live) and all(
        labels.items() <= child["metadata"].get("labels", {}).items() for labels, child in live
    )


def _with_fewest_objects_to_label(options: Sequence[Option]) -> Sequence[Option]:
    """Return the options with an object that an instance selects without further labels, if there are any."""
    options = [one for one in options if not one.labels.monitor] or options
    return [one for one in options if not one.labels.rules] or options


def _only(options: Sequence[Option]) -> Choice:
    """Return the labels that all options share; without them, the options."""
    if not options:
        return Choice()
    first = options[0].labels
    return Choice(first) if all(one.labels == first for one in options) else Choice(options=tuple(options))


def _text(labels: DefaultLabels) -> str:
    monitor, rules = (
        join_words([f"{key}={value}" for key, value in sorted(some.items())]) for some in (labels.monitor, labels.rules)
    )
    if monitor == rules or not rules:
        return monitor
    return f"{monitor} and {rules} for the PrometheusRule" if monitor else rules
