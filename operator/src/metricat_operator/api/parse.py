"""From the object as the API server holds it to a spec, with errors and warnings in a person's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import promql_parser
from pydantic import ValidationError

from metricat_operator import naming
from metricat_operator.api import thresholds
from metricat_operator.api.alerts import ALERTS_ONLY
from metricat_operator.api.collectors import pattern_conflicts
from metricat_operator.api.deprecations import Place, replace_deprecated
from metricat_operator.api.fields import quantity
from metricat_operator.api.notifications import contradictions
from metricat_operator.api.overlap import Claim, selected
from metricat_operator.api.pools import MergeError, Pool, requirements, resolve
from metricat_operator.api.selectors import count
from metricat_operator.api.v1alpha1 import MAX_TERMS, Spec
from metricat_operator.durations import spec_seconds

_SHOWN = 200
"""Characters of an expression that a message repeats."""


@dataclass(frozen=True)
class Parsed:
    """A spec, or the errors that keep it from being one. Warnings do not."""

    spec: Spec | None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    older: tuple[Claim, ...] = ()
    """What older targets claim."""
    too_many_terms: bool = False
    """Whether the only error is that older targets claim too much."""

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """The target's pools, without the nodes of older targets; none where there is no spec."""
        return resolve(self.spec, selected(self.older)) if self.spec else ()


def parse(spec: Mapping[str, Any], older: Sequence[Claim] = ()) -> Parsed:
    """A target's spec, beside the claims of older targets. Never raises.

    A field that this version does not know is left out with a warning: a newer CRD may have it. A deprecated name of a
    field counts as the new one, with a warning.
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
        f"{_path(place, old_names)}: unknown to this version of the operator, and ignored" for place in ignored
    ]
    try:
        pools = resolve(model)
    except MergeError as error:
        return Parsed(None, tuple(map(str, error.args)), tuple(warnings))
    warnings += [*_promql_warnings(model), *_threshold_warnings(model, pools)]
    found = Parsed(model, tuple(_contradictions(model, pools)), tuple(warnings), tuple(older))
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
    """Where what older targets claim is more than a node affinity can leave out."""
    number = max(count(pool.unwanted) for pool in parsed.pools)
    if number <= MAX_TERMS:
        return ()
    names = [str(one) for one in parsed.older]
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    message = (
        f"spec.nodeSelector: older targets ({told}) select nodes that this one selects too, by so many labels and "
        f"expressions that leaving them out takes {number} terms, more than {MAX_TERMS}; leave those nodes out by "
        "spec.nodeSelector, or have the older targets select theirs by one label each"
    )
    return (message,)


def _contradictions(spec: Spec, resolved: Sequence[Pool]) -> list[str]:
    """What the API server refuses too, where it runs the CRD's rules; here for those that do not pass through it."""
    found = []
    if spec_seconds(spec.monitor.scrape_timeout) > spec_seconds(spec.monitor.interval):
        found.append(
            f"spec.monitor.scrapeTimeout: {spec.monitor.scrape_timeout} is longer than the interval, "
            f"{spec.monitor.interval}; shorten the one or lengthen the other"
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
        for name in ("cpu", "memory"):
            request, limit = getattr(resources.requests, name), getattr(resources.limits, name)
            if request is not None and limit is not None and quantity(request) > quantity(limit):
                found.append(
                    f"{where}.resources.requests.{name}: {request} is more than the limit, {limit}; raise "
                    f"{where}.resources.limits.{name} with it"
                )
    for index, group in enumerate(spec.alerts.extra_groups):
        found += [
            f"spec.alerts.extraGroups[{index}].rules[{number}]: a rule has either alert or record, and not both"
            for number, rule in enumerate(group.rules)
            if (rule.alert is None) == (rule.record is None)
        ]
        found += [
            f"spec.alerts.extraGroups[{index}].rules[{number}]: {ALERTS_ONLY}"
            for number, rule in enumerate(group.rules)
            if rule.record and (rule.duration or rule.keep_firing_for or rule.annotations)
        ]
    return found


def _places(spec: Spec) -> list[str]:
    """Where the settings of each pool are written, those of the default pool last."""
    return [*(f"spec.pools[{place}]" for place in range(len(spec.pools))), "spec"]


def _threshold_warnings(spec: Spec, pools: Sequence[Pool]) -> list[str]:
    """Thresholds in force that contradict each other; a pool has only those that are its own."""
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
        if name in names[:place]:
            found.append(f"spec.pools[{place}].name: {name} is an earlier pool's; choose another name")
        if name == naming.DEFAULT_POOL:
            found.append(f"spec.pools[{place}].name: default is the pool of all other nodes; choose another name")
    for where, selector in [("spec.nodeSelector", spec.node_selector), *selectors]:
        found += [
            f"{where}.matchExpressions[{number}]: In and NotIn need values; Exists and DoesNotExist take none"
            for number, one in enumerate(selector.match_expressions)
            if (one.operator in {"In", "NotIn"}) != bool(one.values)
        ]
    for where, selector in selectors:
        if not requirements(selector):
            found.append(f"{where}: a pool needs a label or an expression to select nodes by")
    if (number := count([requirements(selector) for _, selector in selectors])) > MAX_TERMS:
        found.append(
            f"spec.pools: the numbers of labels and expressions of all pools, multiplied, are {number}, more than "
            f"{MAX_TERMS}; select by fewer"
        )
    return found


def _promql_warnings(spec: Spec) -> list[str]:
    """PromQL that our parser does not take. The Prometheus Operator's verdict counts: parsers differ at the edges."""
    found = []
    for place, group in enumerate(spec.alerts.extra_groups):
        for number, rule in enumerate(group.rules):
            try:
                promql_parser.parse(rule.expr)
            except ValueError as error:
                where = f"spec.alerts.extraGroups[{place}].rules[{number}].expr"
                expr = rule.expr if len(rule.expr) <= _SHOWN else f"{rule.expr[:_SHOWN]} ..."
                found.append(f"{where}: {expr!r} does not look like PromQL: {error}")
    return found


def _error_text(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    value = detail.get("input")
    told = not isinstance(value, (str, int, float)) or repr(value) in message
    return message if told else f"{message} (it is {value!r})"


def _path(place: Place, old_names: Mapping[Place, str]) -> str:
    """Return the path of a field as the spec has it, with the deprecated names that it uses."""
    path = "spec"
    for depth, part in enumerate(place, 1):
        path += f"[{part}]" if isinstance(part, int) else f".{old_names.get(place[:depth], part)}"
    return path


def _without_nulls(value: Any) -> Any:
    """A copy. Where a map loses its last field, server-side apply leaves null, which means the same as nothing."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _drop(value: Any, place: Place) -> None:
    for part in place[:-1]:
        value = value[part]
    del value[place[-1]]
