"""Converts alert rules of the API to rule groups. Errors contain the name of the invalid field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args

from metricat_hub.config.sections import ConfigFileError
from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.shipped import SHIPPED, Override, defaults
from metricat_hub.evaluation.short_form import COOLDOWN, Threshold, measure_of, parse_minutes, parse_number
from metricat_hub.model.durations import format_go_duration, parse_duration
from metricat_hub.model.errors import InvalidParameterError
from metricat_rules.alert import Severity
from metricat_rules.settings import AlertSettings, LevelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_hub.evaluation.rules import Group
    from metricat_hub.model.alert_rules import LevelBody, RuleBody
    from metricat_rules.alert import Alert

__all__ = ["FILE", "SHIPPED", "group_of", "override_of"]

FILE = "api"
"""The name that the API returns as the file of these groups."""
_ONLY_SHIPPED = ("levels", "pools")
_ONLY_MEASURE = ("threshold", "match")
_LEAST_INTERVAL, _MOST_INTERVAL = 1_000, 3_600_000
_POOL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)
_FIELDS = {"expr": "expression", "alert": "name", "keep_firing_for": "keep_firing_for", "for": "for"}


def group_of(identifier: str, body: RuleBody, interval: int, window: int) -> Group:
    """Return a group with one rule.

    Args:
        identifier: the name of the group.
        body: the rule.
        interval: milliseconds between two evaluations, if the rule has no interval.
        window: the rate window of measures in milliseconds.

    Raises:
        InvalidParameterError: a field is not valid.
    """
    for name in _ONLY_SHIPPED:
        if getattr(body, name):
            _fail(name, "only shipped alerts have this field; remove it")
    if bool(body.expression) == bool(body.measure):
        both = "both expression and measure are set" if body.measure else "neither expression nor measure is set"
        _fail("expression", f"{both}; set one of them")
    hold = _either(body, "for", ("for_", "duration"), "for_duration_minutes")
    keep_firing = _duration("keep_firing_for", body.keep_firing_for) if body.keep_firing_for else 0
    every = _duration("interval", body.interval) if body.interval else interval
    if not _LEAST_INTERVAL <= every <= _MOST_INTERVAL:
        _fail("interval", f"{body.interval} is outside of 1s to 1h; write for example 30s")
    rule = _of_measure(body, hold, keep_firing, window) if body.measure else _of_expression(body, hold, keep_firing)
    group = {"name": identifier, "interval": format_go_duration(every), "rules": [rule]}
    try:
        return rule_file.parse(rule_file.node_of({"groups": [group]}), FILE, every)[0]
    except ConfigFileError as error:
        key = error.key.rpartition(".")[2]
        _fail(_FIELDS.get(key, key), error.why)


def _of_expression(body: RuleBody, hold: int, keep_firing: int) -> dict[str, Any]:
    for name in _ONLY_MEASURE:
        if getattr(body, name) not in (None, {}):
            _fail(name, "only rules with a measure have this field; write the condition into the expression")
    if not body.name:
        _fail("name", "missing; write the name of the alert, for example DiskAlmostFull")
    if body.severity and "severity" in body.labels:
        _fail("severity", "both severity and labels.severity are set; remove one of them")
    severity = body.labels.get("severity") or body.severity or "warning"
    return {
        "alert": body.name,
        "expr": body.expression,
        "for": format_go_duration(hold),
        "keep_firing_for": format_go_duration(keep_firing),
        "labels": {**body.labels, "severity": severity},
        "annotations": {**_cooldown(body), **body.annotations},
    }


def _of_measure(body: RuleBody, hold: int, keep_firing: int, window: int) -> dict[str, Any]:
    try:
        measure = measure_of(body.measure)
    except ValueError as error:
        _fail("measure", str(error))
    if body.threshold is None:
        _fail("threshold", "missing; write a number, for example 80")
    severity = body.severity or "warning"
    if severity not in get_args(Severity):
        _fail("severity", f"unknown value '{severity[:100]}'; write one of {', '.join(get_args(Severity))}")
    for name in body.match:
        if not _LABEL.fullmatch(name):
            _fail("match", f"invalid name '{name[:100]}'; use letters, digits and _")
    rule = Threshold(
        measure,
        parse_number(str(body.threshold)),
        body.operator,
        cast("Severity", severity),
        hold,
        name=body.name,
        match=body.match,
        labels=body.labels,
    ).rule(window)
    return {
        **rule,
        "keep_firing_for": format_go_duration(keep_firing),
        "annotations": {**rule["annotations"], **_cooldown(body), **body.annotations},
    }


def _cooldown(body: RuleBody) -> dict[str, str]:
    if body.cooldown_minutes is None:
        return {}
    return {COOLDOWN: format_go_duration(_parsed("cooldown_minutes", parse_minutes, str(body.cooldown_minutes)))}


def override_of(alert: Alert, body: RuleBody) -> Override:
    """Convert a rule of the API to the settings of a shipped alert.

    Raises:
        InvalidParameterError: a field is not valid.
    """
    allowed = ("levels", "pools", "labels")
    for field in body.__struct_fields__:
        given = getattr(body, field)
        default = type(body)()
        if field not in allowed and given != getattr(default, field) and (field, given) != ("name", alert.name):
            shown = field.removesuffix("_")
            _fail(shown, "a shipped alert has only the settings levels, pools and labels; remove this field")
    for name in body.labels:
        if not _LABEL.fullmatch(name):
            _fail("labels", f"invalid name '{name[:100]}'; use letters, digits and _")
    if body.pools and not alert.per_node:
        _fail("pools", f"{alert.name} is not about nodes, so it has no settings for pools; remove pools")
    usual = defaults(alert).levels
    settings = AlertSettings(_levels(alert, body.levels, usual, "levels"), body.labels)
    pools = {}
    for pool, levels in body.pools.items():
        if not _POOL.fullmatch(pool):
            _fail("pools", f"invalid pool '{pool[:100]}'; use lower-case letters, digits and -")
        pools[pool] = AlertSettings(_levels(alert, levels, settings.levels, f"pools.{pool}"), body.labels)
    return Override(settings, pools)


def _levels(
    alert: Alert, given: Mapping[Any, LevelBody], base: Mapping[Severity, LevelSettings], path: str
) -> dict[Severity, LevelSettings]:
    for severity in given:
        if severity not in base:
            _fail(f"{path}.{severity}", f"{alert.name} does not have this level; use {', '.join(base)}")
    found = dict(base)
    for severity, level in given.items():
        before = base[severity]
        if level.threshold is not None and before.threshold is None:
            _fail(f"{path}.{severity}.threshold", "this level has no threshold; remove the threshold")
        if level.for_ is not None:
            _duration(f"{path}.{severity}.for", level.for_)
        found[severity] = LevelSettings(
            level.enabled,
            before.duration if level.for_ is None else level.for_,
            before.threshold if level.threshold is None else parse_number(str(level.threshold)),
        )
    return found


def _either(body: RuleBody, shown: str, texts: tuple[str, ...], minutes: str) -> int:
    """Return the milliseconds of a duration that has several names, of which one may be given."""
    given = [name for name in (*texts, minutes) if getattr(body, name) not in (None, "")]
    if len(given) > 1:
        _fail(shown, f"{' and '.join(name.removesuffix('_') for name in given)} are set; set only one of them")
    if not given:
        return 0
    [name] = given
    value = getattr(body, name)
    if name == minutes:
        return _parsed(name, parse_minutes, str(value))
    return _duration(name.removesuffix("_"), value)


def _duration(field: str, text: str) -> int:
    return _parsed(field, parse_duration, text)


def _parsed(field: str, parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        _fail(field, str(error))


def _fail(field: str, why: str) -> NoReturn:
    raise InvalidParameterError(field, why)
