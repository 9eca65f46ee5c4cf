"""Which Prometheus takes our monitor and our rules, and which Alertmanager our notifications, or what is missing. Pure.

The Prometheus Operator looks into the namespaces that its own flags leave it. Its rules, by its API reference
(prometheus-operator.dev/docs/api-reference/api, PrometheusSpec): a selector that is left out selects nothing, an empty
one everything; a namespace selector that is left out means the Prometheus' own namespace, an empty one all namespaces.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metricat_operator import naming
from metricat_operator.api.selectors import Requirement
from metricat_operator.facts.model import Manifest, PrometheusInstance
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.facts.prometheus_query import Rejection

_MOST_TOLD = 3
_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})
_KNOWN = "In, NotIn, Exists and DoesNotExist"
_NAME_OF_A_NAMESPACE = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Finding:
    """What holds of discovery, as a condition says it; `holds` is None where it cannot be known."""

    holds: bool | None
    reason: str
    message: str


@dataclass(frozen=True)
class Subject:
    """An object of ours that a Prometheus, or another `taker`, should take, and where the target sets its labels."""

    what: str
    field: str
    manifest: Manifest
    namespace_labels: Mapping[str, str]
    instance: str = "Prometheus"

    @property
    def labels(self) -> Mapping[str, str]:
        """The object's labels."""
        found: Mapping[str, str] = self.manifest["metadata"].get("labels", {})
        return found

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return str(self.manifest["metadata"]["namespace"])


def discovered(
    target: str,
    subjects: Sequence[Subject],
    instances: Sequence[PrometheusInstance],
    rejections: Sequence[Rejection] = (),
) -> Finding:
    """Whether somebody selects each of the objects; else what is missing, and the command that mends it."""
    told: dict[str, list[str]] = {}
    verdicts: list[tuple[Subject, dict[PrometheusInstance, Finding | None]]] = []
    for subject in subjects:
        able = [instance for instance in instances if subject.what in instance.selectors]
        if not able:
            return Finding(
                holds=False,
                reason=f"No{subject.instance}",
                message=f"nothing takes a {subject.what}: the Prometheus Operator runs no {subject.instance} yet",
            )
        obstacles = {
            instance: _rejected(subject, instance, rejections) or why_not_selected(target, subject, instance)
            for instance in able
        }
        verdicts.append((subject, obstacles))
        if takes := [str(instance) for instance, missing in obstacles.items() if missing is None]:
            whats = told.setdefault(f"{join_words(takes)} select{'' if len(takes) > 1 else 's'}", [])
            whats += [subject.what] if subject.what not in whats else []
            continue
        first = next(missing for missing in obstacles.values() if missing)
        words = [missing.message for missing in obstacles.values() if missing]
        return Finding(holds=False, reason=first.reason, message=join_words(words, "; "))
    message = "; ".join(f"{instances} the {' and the '.join(whats)}" for instances, whats in told.items())
    if apart := _apart(verdicts):
        return Finding(None, "RulesElsewhere", f"{message}; {apart}")
    return Finding(holds=True, reason="Discovered", message=message)


def _apart(verdicts: Sequence[tuple[Subject, Mapping[PrometheusInstance, Finding | None]]]) -> str:
    """What to do where none of those that have the rules has the samples: empty where one has, or may well have.

    A PrometheusAgent keeps no samples but sends them on, and a ThanosRuler asks others for them.
    """
    scraping = {
        instance
        for subject, obstacles in verdicts
        for instance, missing in obstacles.items()
        if subject.what == "ServiceMonitor" and missing is None
    }
    if any(instance.kind != "Prometheus" for instance in scraping):
        return ""
    for subject, obstacles in verdicts:
        takes = {instance for instance, missing in obstacles.items() if missing is None}
        if subject.what == "PrometheusRule" and not any(one in scraping or one.kind == "ThanosRuler" for one in takes):
            lacking = [missing.message for instance, missing in obstacles.items() if missing and instance in scraping]
            return (
                "so unless samples are sent on by remote write, alerts are evaluated where there are none: "
                f"{join_words(lacking, '; ')}"
            )
    return ""


_REJECTED = {"ServiceMonitor": "MonitorRejected", "AlertmanagerConfig": "ConfigRejected"}
_MENDED_SINCE = " (where a Secret was mended, this is said for up to an hour more)"
"""Nothing is said of an object that is taken again because a Secret that it names came or changed."""


def _rejected(subject: Subject, instance: PrometheusInstance, rejections: Sequence[Rejection]) -> Finding | None:
    """What the Prometheus Operator says of an object that it leaves out; a rejected rule is a matter of RulesLoaded."""
    if subject.what not in _REJECTED:
        return None
    uid = subject.manifest["metadata"].get("uid")
    said = [one.message for one in rejections if one.uid == uid and one.instance in {"", str(instance)}]
    if not said:
        return None
    more = _MENDED_SINCE if "secret" in said[0].lower() else ""
    return _no(
        _REJECTED[subject.what], f"the Prometheus Operator leaves the {subject.what} out of {instance}: {said[0]}{more}"
    )


def why_not_selected(target: str, subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Why this taker is not given the object, with the command that mends it; None where it is."""
    unseen = None if instance.operators is None else _unseen(subject, instance, instance.operators)
    return unseen or _not_selected(target, subject, instance) or _not_bound(subject, instance)


def _not_selected(target: str, subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Which selector of the taker leaves the object out."""
    chosen, spaces = instance.selectors[subject.what]
    what = f"{instance} does not select the {subject.what}"
    operators = {one.operator for selector in (chosen, spaces) for one in requirements(selector or {})}
    if unknown := sorted(operators - _OPERATORS):
        return _no("InvalidSelector", f"{what}: {', '.join(unknown)} is no operator of a selector; it knows {_KNOWN}")
    if spaces is None and instance.namespace != subject.namespace:
        mended = _command(
            f"kubectl patch {instance.resource} {instance.name} -n {instance.namespace} --type merge -p",
            {"spec": {instance.fields[subject.what][1]: {}}},
        )
        why = f"it looks in its own namespace only, and the target is in {subject.namespace}"
        return _no("NamespaceNotSelected", f"{what}: {why}; to have it look everywhere: {mended}")
    if unmet := _unmet(spaces or {}, subject.namespace_labels):
        words = " and ".join(map(_said, unmet))
        mended = f"kubectl label --overwrite namespace {subject.namespace} {' '.join(map(_label, unmet))}"
        if any(one.key == _NAME_OF_A_NAMESPACE for one in unmet):  # the API server puts it back, and says nothing
            mended = (
                f"the API server keeps {_NAME_OF_A_NAMESPACE} as it is: create the target in a namespace that it asks "
                f"for, or let spec.{instance.fields[subject.what][1]} of {instance} select {subject.namespace} too"
            )
        return _no("NamespaceNotSelected", f"{what}: it asks for namespaces with {words}; {mended}")
    if chosen is None:
        mended = _command(
            f"kubectl patch {instance.resource} {instance.name} -n {instance.namespace} --type merge -p",
            {"spec": {instance.fields[subject.what][0]: {}}},
        )
        return _no("SelectsNone", f"{what}: without {instance.fields[subject.what][0]} it selects none; {mended}")
    if unmet := _unmet(chosen, subject.labels):
        words = " and ".join(map(_said, unmet))
        labels = {one.key: _wanted(one) for one in unmet}
        if ours := [key for key in labels if naming.is_own_label(key)]:
            mended = f"{join_words(ours)} is Metricat's to set and stays; have {instance} select by another label"
        else:
            section, _, name = subject.field.partition(".")
            patch = {"spec": {section: {name: labels}}}
            mended = _command(f"kubectl patch mtarget {target} -n {subject.namespace} --type merge -p", patch)
        return _no("LabelMissing", f"{what}: it asks for {words}; {mended}")
    return None


def _unseen(subject: Subject, instance: PrometheusInstance, operators: Sequence[PrometheusOperator]) -> Finding | None:
    """Why no Prometheus Operator gives the object to this taker, whatever that one selects."""
    if not operators:
        return _no(
            "NotReconciled",
            f"no running Prometheus Operator manages {instance}. Check its flags --prometheus-instance-namespaces and "
            "--controller-id",
        )
    if any(one.watches(subject.what, subject.namespace) for one in operators):
        return None
    told = join_words([f"{one.name} has {one.namespace_flags()}" for one in operators])
    return _no(
        "NamespaceNotWatched",
        f"{instance} is not given the {subject.what}: the Prometheus Operator does not look into namespace "
        f"{subject.namespace}: {told}; let it, or create the target in a namespace that it looks into",
    )


def _not_bound(subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Where the Prometheus Operator writes down to whom it gives the object, in status.bindings, it must say so."""
    bindings = (subject.manifest.get("status") or {}).get("bindings") or []
    bound = [f"{one['resource']} {one['namespace']}/{one['name']}" for one in bindings]
    if not bound or f"{instance.resource.partition('.')[0]} {instance.namespace}/{instance.name}" in bound:
        return None
    return _no(
        "NotBound",
        f"{instance} selects the {subject.what}, but by its status.bindings the Prometheus Operator gives it to "
        f"{join_words(bound)} only: a change is there within a minute; if not, see the Prometheus Operator's log",
    )


def _no(reason: str, message: str) -> Finding:
    return Finding(holds=False, reason=reason, message=message)


def _command(start: str, patch: Mapping[str, Any]) -> str:
    return f"{start} '{json.dumps(patch)}'"


def _unmet(selector: Mapping[str, Any], labels: Mapping[str, str]) -> list[Requirement]:
    return [one for one in requirements(selector) if not one.holds(labels)]


def requirements(selector: Mapping[str, Any]) -> Iterable[Requirement]:
    """What a label selector (metav1.LabelSelector) asks for."""
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        yield Requirement(key, "In", (value,))
    for one in selector.get("matchExpressions") or []:
        yield Requirement(one["key"], one["operator"], tuple(one.get("values") or ()))


def _said(requirement: Requirement) -> str:
    values = ", ".join(requirement.values)
    return {
        "In": f"{requirement.key}={values}" if len(requirement.values) == 1 else f"{requirement.key} in ({values})",
        "NotIn": f"{requirement.key} not in ({values})",
        "Exists": f"a label {requirement.key}",
        "DoesNotExist": f"no label {requirement.key}",
    }[requirement.operator]


def _wanted(requirement: Requirement) -> str | None:
    """A value that meets the requirement; None where the label must go."""
    if requirement.operator == "In":
        return requirement.values[0] if requirement.values else None
    return "true" if requirement.operator == "Exists" else None


def _label(requirement: Requirement) -> str:
    """As an argument of `kubectl label`."""
    wanted = _wanted(requirement)
    return f"{requirement.key}-" if wanted is None else f"{requirement.key}={wanted}"


def join_words(words: Sequence[str], between: str = ", ") -> str:
    """The first few, and how many more there are."""
    more = f" and {len(words) - _MOST_TOLD} more" if len(words) > _MOST_TOLD else ""
    return between.join(words[:_MOST_TOLD]) + more
