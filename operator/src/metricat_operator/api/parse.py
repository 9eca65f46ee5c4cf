"""Parse a MonitoringTarget's spec, with errors and warnings for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import promql_parser
from pydantic import ValidationError

from metricat_operator import naming
from metricat_operator.api import thresholds
from metricat_operator.api.agent import LEAST_MEMORY, NOT_ENOUGH_MEMORY
from metricat_operator.api.alerts import ALERTS_ONLY, ONE_OF_BOTH
from metricat_operator.api.collectors import pattern_conflicts
from metricat_operator.api.deprecations import Place, replace_deprecated
from metricat_operator.api.fields import Model, quantity
from metricat_operator.api.nodes import MAX_REQUIREMENTS
from metricat_operator.api.notifications import contradictions
from metricat_operator.api.overlap import Claim, selected
from metricat_operator.api.pools import MergeError, Pool, requirements, resolve
from metricat_operator.api.selectors import count, disjoint_filter
from metricat_operator.api.v1alpha1 import MAX_TERMS, Spec
from metricat_rules.durations import spec_seconds

_SHOWN = 200
"""Maximum number of characters of an expression in a message."""


@dataclass(frozen=True)
class Parsed:
    """A parsed spec with its warnings, or the errors that make it invalid."""

    spec: Spec | None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    older: tuple[Claim, ...] = ()
    """The claims of older targets."""
    promql_warnings: tuple[str, ...] = ()
    """The warnings about expressions in spec.alerts.extraGroups."""
    too_many_terms: bool = False
    """Whether the only error is that the claims of older targets need too many terms."""

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """Return the target's pools without the nodes of older targets; empty without a spec."""
        return resolve(self.spec, selected(self.older)) if self.spec else ()


def parse(spec: Mapping[str, Any], older: Sequence[Claim] = ()) -> Parsed:
    """Parse a target's spec, given the claims of older targets. Never raises.

    An unknown field is ignored with a warning: a newer CRD may have it. A deprecated name of a
    field is treated as the new field, with a warning.
    """
    known = _without_nulls(spec)
    replaced = list(replace_deprecated(known, Spec))
    old_names = {one.place: one.name.old for one in replaced}
    warnings = [f"{_path(one.place, old_names)} {one.warning}" for one in replaced]
    if errors := tuple(f"{_path(one.place, old_names)}: {one.error}" for one in replaced if one.error):
        return Parsed(None, errors, tuple(warnings))
    try:
        model, ignored = _validated(known)
    except ValidationError as error:
        errors = tuple(f"{_path(one['loc'], old_names)}: {_error_text(one)}" for one in _details(error))
        return Parsed(None, errors, tuple(warnings))
    warnings += [
        f"{_path(place, old_names)}: unknown to this version of the operator. The field is ignored."
        for place in ignored
    ]
    try:
        pools = resolve(model)
    except MergeError as error:
        return Parsed(None, tuple(map(str, error.args)), tuple(warnings))
    promql = tuple(_promql_warnings(model))
    warnings += [*promql, *_threshold_warnings(model, pools)]
    found = Parsed(model, tuple(_contradictions(model, pools)), tuple(warnings), tuple(older), promql)
    if found.errors or not (crowd := _too_many_terms(found)):
        return found
    return replace(found, errors=crowd, too_many_terms=True)


def _validated(known: Any) -> tuple[Spec, list[Place]]:
    """Return the spec, and the places of unknown fields, which are removed from `known`.

    Raises:
        ValidationError: the spec is invalid for another reason.
    """
    ignored: list[Place] = []
    while True:
        try:
            return Spec.model_validate(known), ignored
        except ValidationError as error:
            unknown = [one["loc"] for one in _details(error) if one["type"] == "extra_forbidden"]
            if not unknown:
                raise
            for place in unknown:
                _drop(known, place)
            ignored += unknown


def _details(error: ValidationError) -> Sequence[Any]:
    return error.errors(include_url=False, include_context=False)


def _too_many_terms(parsed: Parsed) -> tuple[str, ...]:
    """Return an error if a node affinity cannot exclude the nodes of all older targets."""
    number = max(count(pool.unwanted) for pool in parsed.pools)
    if number <= MAX_TERMS:
        return ()
    mine = requirements(parsed.spec.node_selector) if parsed.spec else ()
    names = [str(one) for one in parsed.older if disjoint_filter(mine, selected([one]))]
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    message = (
        f"spec.nodeSelector: older targets ({listed}) also select nodes of this target. A node affinity that excludes "
        f"their nodes needs {number} terms, more than {MAX_TERMS}. Exclude these nodes in spec.nodeSelector, or let "
        "the older targets select their nodes by one label each."
    )
    return (message,)


def _contradictions(spec: Spec, resolved: Sequence[Pool]) -> list[str]:
    """Return contradictions between fields. The API server finds most of them; a file for the CLI does not pass it."""
    found = [*_duplicates(spec, "spec")]
    if spec_seconds(spec.monitor.effective_timeout) > spec_seconds(spec.monitor.interval):
        found.append(
            f"spec.monitor.scrapeTimeout: {spec.monitor.effective_timeout} is longer than the interval, "
            f"{spec.monitor.interval}. Shorten the timeout or lengthen the interval."
        )
    found += _node_contradictions(spec)
    found += contradictions(spec.notifications, [pool.name for pool in spec.pools])
    written = [*(pool.alerts.rules for pool in spec.pools), spec.alerts.rules]
    for place, rules in zip(_places(spec), written, strict=True):
        found += thresholds.contradictions(rules.by_alert(written_only=True), f"{place}.alerts.rules")
    for place, pool in zip(_places(spec), resolved, strict=True):
        where = f"{place}.agent"
        found += [f"{where}.collectors.{said}" for said in pattern_conflicts(pool.agent.collectors)]
        resources = pool.agent.resources
        limit = resources.limits.memory
        if limit is not None and quantity(str(limit)) < quantity(LEAST_MEMORY):
            found.append(f"{where}.resources.limits.memory: {limit} is too low. {NOT_ENOUGH_MEMORY}")
        for name in ("cpu", "memory"):
            request, limit = getattr(resources.requests, name), getattr(resources.limits, name)
            if request is not None and limit is not None and quantity(request) > quantity(limit):
                found.append(
                    f"{where}.resources.requests.{name}: {request} is more than the limit, {limit}. "
                    f"Lower the request, or raise {where}.resources.limits.{name}."
                )
    for index, group in enumerate(spec.alerts.extra_groups):
        found += [
            f"spec.alerts.extraGroups[{index}].rules[{number}]: {ONE_OF_BOTH}"
            for number, rule in enumerate(group.rules)
            if (rule.alert is None) == (rule.record is None)
        ]
        found += [
            f"spec.alerts.extraGroups[{index}].rules[{number}]: {ALERTS_ONLY}"
            for number, rule in enumerate(group.rules)
            if rule.record and (rule.duration or rule.keep_firing_for or rule.annotations)
        ]
    return found


def _duplicates(model: Model, where: str) -> Iterator[str]:
    """Yield an error for each repeated item of a list whose items must differ."""
    for name, field in type(model).model_fields.items():
        value, place = getattr(model, name), f"{where}.{field.alias or name}"
        if isinstance(value, Model):
            yield from _duplicates(value, place)
        if not isinstance(value, tuple):
            continue
        extra: Any = field.json_schema_extra or {}
        kind = extra.get("x-kubernetes-list-type")
        [key] = extra.get("x-kubernetes-list-map-keys", [""])
        ids = [one.model_dump(by_alias=True)[key] if key else one for one in value] if kind else []
        for number, one in enumerate(ids):
            if one in ids[:number] and key:
                yield f"{place}[{number}].{key}: an earlier item has the {key} {one}. Choose another {key}."
            elif one in ids[:number]:
                yield f"{place}[{number}]: {one} occurs twice. Remove one of them."
        for number, one in enumerate(value):
            if isinstance(one, Model):
                yield from _duplicates(one, f"{place}[{number}]")


def _places(spec: Spec) -> list[str]:
    """Return the paths of the pools' settings; those of the default pool are last."""
    return [*(f"spec.pools[{place}]" for place in range(len(spec.pools))), "spec"]


def _threshold_warnings(spec: Spec, pools: Sequence[Pool]) -> list[str]:
    """Return warnings about effective thresholds that contradict each other; inherited ones only for the target."""
    *places, last = _places(spec)
    *special, default = pools
    found = [*thresholds.contradictions(default.rules.by_alert(), f"{last}.alerts.rules")]
    inherited = {said.removeprefix(last) for said in found}
    for place, pool in zip(places, special, strict=True):
        said = thresholds.contradictions(pool.rules.by_alert(), f"{place}.alerts.rules")
        found += [one for one in said if one.removeprefix(place) not in inherited]
    return found


def _node_contradictions(spec: Spec) -> list[str]:
    found = []
    names = [pool.name for pool in spec.pools]
    selectors = [(f"spec.pools[{place}].nodeSelector", pool.node_selector) for place, pool in enumerate(spec.pools)]
    for place, name in enumerate(names):
        if name == naming.DEFAULT_POOL:
            found.append(
                f"spec.pools[{place}].name: default is the name of the pool of all other nodes. Choose another name."
            )
    for where, selector in [("spec.nodeSelector", spec.node_selector), *selectors]:
        found += [
            f"{where}.matchExpressions[{number}]: In and NotIn need values. Exists and DoesNotExist take none."
            for number, one in enumerate(selector.match_expressions)
            if (one.operator in {"In", "NotIn"}) != bool(one.values)
        ]
        if (number := len(selector.match_labels) + len(selector.match_expressions)) > MAX_REQUIREMENTS:
            found.append(
                f"{where}: {number} labels and expressions are more than {MAX_REQUIREMENTS}. Use fewer of both."
            )
    for where, selector in selectors:
        if not requirements(selector):
            found.append(f"{where}: a pool needs a label or an expression that selects nodes.")
    if (number := count([requirements(selector) for _, selector in selectors])) > MAX_TERMS:
        found.append(
            f"spec.pools: the product of the pools' numbers of labels and expressions is {number}, more than "
            f"{MAX_TERMS}. Use fewer labels and expressions."
        )
    return found


def _promql_warnings(spec: Spec) -> list[str]:
    """Return warnings about PromQL that our parser refuses. Only warnings: the Prometheus Operator's parser decides."""
    found = []
    for place, group in enumerate(spec.alerts.extra_groups):
        for number, rule in enumerate(group.rules):
            try:
                promql_parser.parse(rule.expr)
            except ValueError as error:
                where = f"spec.alerts.extraGroups[{place}].rules[{number}].expr"
                expr = rule.expr if len(rule.expr) <= _SHOWN else f"{rule.expr[:_SHOWN]} ..."
                found.append(
                    f"{where}: {expr!r} is not valid PromQL for Metricat's parser: {error}. Correct the expression, "
                    "unless Prometheus accepts it"
                )
    return found


def _error_text(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    value = detail.get("input")
    has_value = not isinstance(value, (str, int, float)) or repr(value) in message
    return message if has_value else f"{message} (it is {value!r})"


def _path(place: Place, old_names: Mapping[Place, str]) -> str:
    """Return the path of a field as the spec has it, with the deprecated names that it uses."""
    path = "spec"
    for depth, part in enumerate(place, 1):
        path += f"[{part}]" if isinstance(part, int) else f".{old_names.get(place[:depth], part)}"
    return path


def _without_nulls(value: Any) -> Any:
    """Return a copy without nulls: server-side apply leaves null where a map loses its last field.

    As the API server, take a number such as `10.0` for an integer.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _drop(value: Any, place: Place) -> None:
    for part in place[:-1]:
        value = value[part]
    del value[place[-1]]
