"""Selection of a target's objects by a Prometheus, and of its AlertmanagerConfig by an Alertmanager. Pure.

If no instance selects an object, the finding states the cause and the remedy. The Prometheus Operator watches the
namespaces that its flags allow. Its rules for selectors, by its API reference
(prometheus-operator.dev/docs/api-reference/api, PrometheusSpec): a missing selector selects nothing, an empty one
everything. A missing namespace selector means the namespace of the Prometheus, an empty one all namespaces. See
docs/design/0007.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metricat_operator import naming
from metricat_operator.api.fields import LABEL_KEY, LABEL_VALUE
from metricat_operator.api.selectors import Requirement
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Manifest, PrometheusInstance
from metricat_operator.facts.prometheus_query import Rejection

_MOST_LISTED = 3
_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})
_OPERATORS_TEXT = "In, NotIn, Exists and DoesNotExist"
_NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Finding:
    """The result of a check, as a condition reports it; `holds` is None where it is unknown."""

    holds: bool | None
    reason: Reason
    message: str


@dataclass(frozen=True)
class Subject:
    """An object that a Prometheus, or another kind of instance, should select.

    `label_field` is the field of the target that sets its labels.
    """

    kind: str
    label_field: str
    manifest: Manifest
    namespace_labels: Mapping[str, str]
    instance_kind: str = "Prometheus"

    @property
    def labels(self) -> Mapping[str, str]:
        """The object's labels."""
        found: Mapping[str, str] = self.manifest["metadata"].get("labels", {})
        return found

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return str(self.manifest["metadata"]["namespace"])


def find_selection(
    target: str,
    subjects: Sequence[Subject],
    instances: Sequence[PrometheusInstance],
    rejections: Sequence[Rejection] = (),
) -> Finding:
    """Return whether an instance selects each object; otherwise the finding has the cause and the remedy."""
    selecting: dict[str, list[str]] = {}
    problems: list[tuple[Subject, dict[PrometheusInstance, Finding | None]]] = []
    for subject in subjects:
        candidates = [instance for instance in instances if subject.kind in instance.selectors]
        if not candidates:
            reason = Reason.NO_ALERTMANAGER if subject.instance_kind == "Alertmanager" else Reason.NO_PROMETHEUS
            return _no(
                reason,
                f"No {subject.instance_kind} object exists in the cluster, so nothing can select the {subject.kind}. "
                "Create one, or install kube-prometheus-stack.",
            )
        found = {
            instance: _rejected(subject, instance, rejections) or selection_problem(target, subject, instance)
            for instance in candidates
        }
        problems.append((subject, found))
        if names := [str(instance) for instance, problem in found.items() if problem is None]:
            kinds = selecting.setdefault(f"{join_words(names)} select{'' if len(names) > 1 else 's'}", [])
            kinds += [subject.kind] if subject.kind not in kinds else []
            continue
        first = next(problem for problem in found.values() if problem)
        messages = [problem.message for problem in found.values() if problem]
        return _no(first.reason, join_words(messages, "; "))
    message = "; ".join(f"{names} the {' and the '.join(kinds)}" for names, kinds in selecting.items())
    if separate := _rules_on_other_prometheus(problems):
        return Finding(None, Reason.RULES_ON_OTHER_PROMETHEUS, f"{message}. {separate}")
    return Finding(holds=True, reason=Reason.SELECTED, message=message)


def _rules_on_other_prometheus(
    problems: Sequence[tuple[Subject, Mapping[PrometheusInstance, Finding | None]]],
) -> str:
    """Return the remedy if no Prometheus with the rules has the samples; empty if a Prometheus has, or may have, both.

    A PrometheusAgent keeps no samples but sends them on, and a ThanosRuler queries others for them.
    """
    scraping = {
        instance
        for subject, found in problems
        for instance, problem in found.items()
        if subject.kind == "ServiceMonitor" and problem is None
    }
    if any(instance.kind != "Prometheus" for instance in scraping):
        return ""
    for subject, found in problems:
        selecting = {instance for instance, problem in found.items() if problem is None}
        if subject.kind == "PrometheusRule" and not any(
            one in scraping or one.kind == "ThanosRuler" for one in selecting
        ):
            missing = [problem.message for instance, problem in found.items() if problem and instance in scraping]
            return (
                "No Prometheus has both the rules and the samples. Unless remote write sends the samples to the "
                "Prometheus with the rules: "
                f"{join_words(missing, '; ')}"
            )
    return ""


_REJECTED = {"ServiceMonitor": Reason.MONITOR_REJECTED, "AlertmanagerConfig": Reason.CONFIG_REJECTED}
_UP_TO_AN_HOUR = " (after the Secret is corrected, this message stays for up to an hour)"
"""The Prometheus Operator does not report that it accepts an object again because of a changed Secret."""


def _rejected(subject: Subject, instance: PrometheusInstance, rejections: Sequence[Rejection]) -> Finding | None:
    """Return why the Prometheus Operator rejects the object; RulesLoaded reports rejected rules."""
    if subject.kind not in _REJECTED:
        return None
    uid = subject.manifest["metadata"].get("uid")
    messages = [one.message for one in rejections if one.uid == uid and one.instance in {"", str(instance)}]
    if not messages:
        return None
    delay = _UP_TO_AN_HOUR if "secret" in messages[0].lower() else ""
    return _no(
        _REJECTED[subject.kind],
        f"The Prometheus Operator rejects the {subject.kind} for {instance}: {messages[0]}{delay}",
    )


def selection_problem(target: str, subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Return why this instance does not get the object, with the remedy; None if it gets the object."""
    return (
        watch_problem(subject, instance)
        or _not_selected(target, subject, instance)
        or _not_in_bindings(subject, instance)
    )


def _not_selected(target: str, subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Return the finding that a selector of the instance excludes the object; None if no selector does."""
    labels_selector, namespace_selector = instance.selectors[subject.kind]
    what = f"{instance} does not select the {subject.kind}"
    selectors = (labels_selector, namespace_selector)
    operators = {one.operator for selector in selectors for one in requirements(selector or {})}
    if unknown := sorted(operators - _OPERATORS):
        return _no(
            Reason.INVALID_SELECTOR,
            f"{what}: unknown selector operator {', '.join(unknown)}. Use one of {_OPERATORS_TEXT}.",
        )
    if (problem := _namespace_not_selected(subject, instance, namespace_selector)) is not None:
        return _no(Reason.NAMESPACE_NOT_SELECTED, f"{what}: {problem}")
    if labels_selector is None:
        field = instance.fields[subject.kind][0]
        command = _patch_instance(instance, field)
        return _no(Reason.SELECTOR_NOT_SET, f"{what}: its {field} is not set. To select all, run: {command}")
    if unmet := _unmet(labels_selector, subject.labels):
        required = " and ".join(map(_requirement_text, unmet))
        labels = {one.key: _required_value(one) for one in unmet}
        if own := [key for key in labels if naming.is_own_label(key)]:
            remedy = f"Metricat sets {join_words(own)}, so select by another label in {instance}."
        else:
            section, _, name = subject.label_field.partition(".")
            remedy = f"To set the labels, run: {target_patch(target, subject.namespace, {section: {name: labels}})}"
        return _no(Reason.LABEL_MISSING, f"{what}: it requires {required}. {remedy}")
    return None


def missing_labels(subject: Subject, instance: PrometheusInstance) -> Mapping[str, str] | None:
    """Return the labels with which the selectors of the instance match the object; None if no labels suffice."""
    selector = instance.selectors[subject.kind][0] or {}
    labels: dict[str, str] = {}
    for key in {one.key for one in _unmet(selector, subject.labels)}:
        required = [one for one in requirements(selector) if one.key == key]
        values = [value for one in required if one.operator == "In" for value in one.values] or ["true"]
        for value in values:
            if _is_label(key, value) and all(one.holds({key: value}) for one in required):
                labels.setdefault(key, value)
    metadata = {**subject.manifest["metadata"], "labels": {**labels, **subject.labels}}
    labelled = replace(subject, manifest={"metadata": metadata})
    return labels if _not_selected("", labelled, instance) is None else None


def _is_label(key: str, value: str) -> bool:
    """Return whether Metricat may set the label."""
    return bool(re.fullmatch(LABEL_KEY, key) and re.fullmatch(LABEL_VALUE, value)) and not naming.is_own_label(key)


def _namespace_not_selected(
    subject: Subject, instance: PrometheusInstance, selector: Mapping[str, Any] | None
) -> str | None:
    """Return how the namespace selector of the instance excludes the object's namespace, and what to do."""
    field = instance.fields[subject.kind][1]
    if selector is None and instance.namespace != subject.namespace:
        return (
            f"it selects only in its own namespace, and the target is in {subject.namespace}. "
            f"To select in all namespaces, run: {_patch_instance(instance, field)}"
        )
    unmet = _unmet(selector or {}, subject.namespace_labels)
    if not unmet:
        return None
    required = " and ".join(map(_requirement_text, unmet))
    if any(one.key == _NAMESPACE_NAME_LABEL for one in unmet):  # the API server reverts a change of it silently
        return (
            f"it requires namespaces with {required}, and {_NAMESPACE_NAME_LABEL} cannot be changed. Create the target "
            f"in such a namespace, or let spec.{field} of {instance} select {subject.namespace} too."
        )
    arguments = " ".join(map(_label_argument, unmet))
    return (
        f"it requires namespaces with {required}. "
        f"To label the namespace, run: kubectl label --overwrite namespace {subject.namespace} {arguments}"
    )


def _patch_instance(instance: PrometheusInstance, field: str) -> str:
    """Return the command that sets a selector of the instance to select everything."""
    return _command(
        f"kubectl patch {instance.resource} {instance.name} -n {instance.namespace} --type merge -p",
        {"spec": {field: {}}},
    )


def watch_problem(subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Return why no Prometheus Operator configures the object for this instance, regardless of the selectors."""
    operators = instance.operators
    if operators is None:
        return None
    if not operators:
        return _no(
            Reason.NO_MANAGING_OPERATOR,
            f"No running Prometheus Operator manages {instance}. Check the flags --controller-id and "
            "--*-instance-namespaces of the Prometheus Operators.",
        )
    if any(one.watches(subject.kind, subject.namespace) for one in operators):
        return None
    flags = join_words([f"{one.name} has {one.namespace_flags()}" for one in operators])
    return _no(
        Reason.NAMESPACE_NOT_WATCHED,
        f"{instance} does not get the {subject.kind}: the Prometheus Operator does not watch the namespace "
        f"{subject.namespace} ({flags}). Add the namespace to --namespaces, or remove it from "
        "--deny-namespaces. Or create the target in a watched namespace.",
    )


def _not_in_bindings(subject: Subject, instance: PrometheusInstance) -> Finding | None:
    """Return that the object's `status.bindings`, if the Prometheus Operator writes them, lack the instance."""
    bindings = (subject.manifest.get("status") or {}).get("bindings") or []
    bound = [f"{one['resource']} {one['namespace']}/{one['name']}" for one in bindings]
    if not bound or f"{instance.resource.partition('.')[0]} {instance.namespace}/{instance.name}" in bound:
        return None
    return _no(
        Reason.NOT_IN_BINDINGS,
        f"{instance} selects the {subject.kind}, but the Prometheus Operator has bound it to {join_words(bound)} only "
        "(status.bindings). Wait a minute; if this persists, read the Prometheus Operator's log.",
    )


def _no(reason: Reason, message: str) -> Finding:
    return Finding(holds=False, reason=reason, message=message)


def target_patch(name: str, namespace: str, spec: Mapping[str, Any]) -> str:
    """Return the command that changes these fields of a target's spec."""
    return _command(f"kubectl patch mtarget {name} -n {namespace} --type merge -p", {"spec": spec})


def _command(start: str, patch: Mapping[str, Any]) -> str:
    return f"{start} '{json.dumps(patch)}'"


def _unmet(selector: Mapping[str, Any], labels: Mapping[str, str]) -> list[Requirement]:
    return [one for one in requirements(selector) if not one.holds(labels)]


def requirements(selector: Mapping[str, Any]) -> Iterable[Requirement]:
    """Yield the requirements of a label selector (metav1.LabelSelector)."""
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        yield Requirement(key, "In", (value,))
    for one in selector.get("matchExpressions") or []:
        yield Requirement(one["key"], one["operator"], tuple(one.get("values") or ()))


def _requirement_text(requirement: Requirement) -> str:
    values = ", ".join(requirement.values)
    return {
        "In": f"{requirement.key}={values}" if len(requirement.values) == 1 else f"{requirement.key} in ({values})",
        "NotIn": f"{requirement.key} not in ({values})",
        "Exists": f"a label {requirement.key}",
        "DoesNotExist": f"no label {requirement.key}",
    }[requirement.operator]


def _required_value(requirement: Requirement) -> str | None:
    """Return a value that meets the requirement; None if the label must be removed."""
    if requirement.operator == "In":
        return requirement.values[0] if requirement.values else None
    return "true" if requirement.operator == "Exists" else None


def _label_argument(requirement: Requirement) -> str:
    """Return the requirement as an argument of `kubectl label`."""
    value = _required_value(requirement)
    return f"{requirement.key}-" if value is None else f"{requirement.key}={value}"


def join_words(words: Sequence[str], between: str = ", ") -> str:
    """Join the first words; the text ends with the number of omitted words, such as `and 4 more`."""
    more = f" and {len(words) - _MOST_LISTED} more" if len(words) > _MOST_LISTED else ""
    return between.join(words[:_MOST_LISTED]) + more
