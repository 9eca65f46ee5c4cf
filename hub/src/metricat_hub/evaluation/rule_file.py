"""Reader of rule files in Prometheus' format. An unknown key is an error.

A file may also contain thresholds in the short form under the key `rules`. See `short_form`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.config.yaml_text import Node
from metricat_hub.config.sections import Section, whole
from metricat_hub.evaluation import short_form
from metricat_hub.evaluation.rules import AlertingRule, Group, RecordingRule, Rule
from metricat_hub.evaluation.templates import Template, TemplateError
from metricat_hub.model.durations import parse_duration
from metricat_hub.model.errors import QueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql.parser import parse as parse_expression
from metricat_rules.alert_state import Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from metricat_hub.evaluation.short_form import Threshold

REMEMBER_RESOLVED = 15 * 60_000
"""Milliseconds for which a resolved alert is kept, as in Prometheus."""
RATE_WINDOW = 60_000
"""The default rate window in milliseconds."""
_GROUP = ("name", "interval", "query_offset", "limit", "rules", "labels")
_RULE = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_ONLY_ALERTS = ("for", "keep_firing_for", "annotations")
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)


def parse(root: Node | None, file: str, interval: int, window: int = RATE_WINDOW) -> list[Group]:
    """Return the groups of a rule file. `interval`, in milliseconds, is that of groups without an interval.

    `window` is the rate window of thresholds in the short form, in milliseconds.

    Raises:
        ConfigFileError: the file is not a valid rule file, or a rule uses a feature that the hub does not support.
    """
    if root is None or root.is_null:
        return []
    whole_file = Section(root, "", file, ("groups", "rules"))
    sections = whole_file.sections("groups", _GROUP)
    groups: dict[str, Group] = {}
    for section in sections:
        group = _group(section, interval)
        if group.name in groups:
            section.fail("name", f"two groups have the name '{group.name}'; rename one of them")
        groups[group.name] = group
    short = whole_file.values.get("rules")
    if short and not short.is_null:
        if short_form.GROUP in groups:
            whole_file.fail(
                "rules",
                f"a group has the name '{short_form.GROUP}', which is reserved for the key rules; rename the group",
            )
        groups[short_form.GROUP] = thresholds(short_form.read(short, "rules.", file), file, interval, window)
    return list(groups.values())


def thresholds(found: Sequence[Threshold], file: str, interval: int, window: int = RATE_WINDOW) -> Group:
    """Convert thresholds in the short form to a group of alerting rules.

    Raises:
        ConfigFileError: the name of an alert or a label is not valid.
    """
    group = {"name": short_form.GROUP, "rules": [one.rule(window) for one in found]}
    return parse(node_of({"groups": [group]}), file, interval)[0]


def node_of(value: object) -> Node:
    """Convert texts, numbers, lists and mappings to a YAML node."""
    if isinstance(value, dict):
        return Node({key: node_of(one) for key, one in value.items()}, 1, "map")
    if isinstance(value, list):
        return Node([node_of(one) for one in value], 1, "seq")
    return Node(str(value), 1, "str")


def _group(section: Section, interval: int) -> Group:
    name = section.text("name")
    if not name:
        section.fail("name", "missing; write a name")
    labels = section.pairs("labels")
    _check_names(section, labels)
    return Group(
        name,
        section.file,
        section.parsed("interval", parse_duration, 0) or interval,
        tuple(_rule(one, labels) for one in section.sections("rules", _RULE)),
        section.parsed("limit", whole, 0),
        section.parsed("query_offset", parse_duration, 0),
    )


def _rule(section: Section, of_group: Mapping[str, str]) -> Rule:
    record, alert, expression = section.text("record"), section.text("alert"), section.text("expr")
    if bool(record) == bool(alert):
        section.fail(
            "record", f"{'both record and alert are' if record else 'neither record nor alert is'} set; set one of them"
        )
    if not expression:
        section.fail("expr", "missing; write an expression in PromQL")
    try:
        parse_expression(expression)
    except QueryError as error:
        section.fail("expr", str(error))
    labels = section.pairs("labels")
    _check_names(section, labels)
    labels = {**of_group, **labels}
    if record:
        return _recording(section, record, expression, labels)
    for_, keep_firing_for = (section.parsed(key, parse_duration, 0) for key in _ONLY_ALERTS[:2])
    timing = Timing(for_, keep_firing_for, REMEMBER_RESOLVED)
    annotations = section.pairs("annotations")
    _check_names(section, annotations, "annotations")
    return AlertingRule(
        alert,
        expression,
        timing,
        _templates(section, "labels", labels),
        _templates(section, "annotations", annotations),
    )


def _recording(section: Section, name: str, expression: str, labels: Mapping[str, str]) -> RecordingRule:
    for key in _ONLY_ALERTS:
        if key in section.values and not section.values[key].is_null:
            section.fail(key, "a recording rule cannot have this key; remove the key")
    if "{" in name or "}" in name:
        section.fail("record", f"invalid name '{name}'; write only the metric name here, and labels under labels")
    return RecordingRule(name, expression, labels)


def _check_names(section: Section, names: Iterable[str], key: str = "labels") -> None:
    for name in names:
        if not _LABEL.fullmatch(name) or (key == "labels" and name == NAME):
            section.fail(key, f"invalid name '{name}'; use letters, digits and _")


def _templates(section: Section, key: str, texts: Mapping[str, str]) -> dict[str, Template]:
    found = {}
    for name, text in texts.items():
        try:
            found[name] = Template(text)
        except TemplateError as error:
            section.fail(key, f"{name}: {error}")
    return found
