"""Relabelling: rules that change the labels of a target or a series, or drop it. Pure.

The rules work as in Prometheus 3 (prometheus.io/docs/prometheus/latest/configuration/configuration#relabel_config).
Tests compare the results with a real Prometheus.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from metricat_hub.promql.matchers import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Action: TypeAlias = Literal[
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
_VARIABLE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
"""A reference in a template, as Go's `Regexp.Expand` defines it: ``$1``, ``$name``, ``${name}``, ``$$``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One relabelling rule, with Prometheus' defaults."""

    action: Action = "replace"
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = "(.*)"
    modulus: int = 0
    target_label: str = ""
    replacement: str = "$1"
    compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the expression; raise `InvalidQueryError` if it is not valid."""
        object.__setattr__(self, "compiled", compiled(self.regex))


def relabel(labels: dict[str, str], rules: Iterable[Rule]) -> bool:
    """Apply the rules to the labels in place. Return False when a rule drops the target or the series.

    `labels` must not have empty values; the result has none either.
    """
    return all(_ACTIONS[rule.action](rule, labels) for rule in rules)


def _value(rule: Rule, labels: dict[str, str]) -> str:
    return rule.separator.join([labels.get(name, "") for name in rule.source_labels])


def _set(labels: dict[str, str], name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _replace(rule: Rule, labels: dict[str, str]) -> bool:
    found = rule.compiled.fullmatch(_value(rule, labels))
    if found and (target := _expanded(found, rule.target_label)):
        _set(labels, target, _expanded(found, rule.replacement))
    return True


def _expanded(found: Any, template: str) -> str:
    """Return the template with its references replaced. An unknown group is empty, as in Go."""
    if "$" not in template:
        return template
    names = found.re.groupindex

    def value(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        if name.isdecimal() and name.isascii():
            number = int(name)
            return (found[number] or "") if number <= found.re.groups else ""
        return (found[name] or "") if name in names else ""

    return _VARIABLE.sub(value, template)


def _hash(rule: Rule, labels: dict[str, str]) -> bool:
    digest = hashlib.md5(_value(rule, labels).encode(), usedforsecurity=False).digest()
    _set(labels, rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))
    return True


def _map(rule: Rule, labels: dict[str, str]) -> bool:
    for name, value in list(labels.items()):
        if (found := rule.compiled.fullmatch(name)) and (target := _expanded(found, rule.replacement)):
            labels[target] = value
    return True


def _filter(labels: dict[str, str], matching: Any, *, keep: bool) -> bool:
    for name in [name for name in labels if bool(matching.fullmatch(name)) is not keep]:
        del labels[name]
    return True


def _lower(text: str) -> str:
    """Return the text in lower case, each character separately, as Go does: no character becomes two."""
    return "".join([char.lower()[0] for char in text])


def _upper(text: str) -> str:
    return "".join([_upper_char(char) for char in text])


def _upper_char(char: str) -> str:
    return next((changed for changed in (char.upper(), char.title()) if len(changed) == 1), char)


def _cased(change: Callable[[str], str]) -> Callable[[Rule, dict[str, str]], bool]:
    def apply(rule: Rule, labels: dict[str, str]) -> bool:
        _set(labels, rule.target_label, change(_value(rule, labels)))
        return True

    return apply


_ACTIONS: dict[Action, Callable[[Rule, dict[str, str]], bool]] = {
    "replace": _replace,
    "keep": lambda rule, labels: rule.compiled.fullmatch(_value(rule, labels)) is not None,
    "drop": lambda rule, labels: rule.compiled.fullmatch(_value(rule, labels)) is None,
    "keepequal": lambda rule, labels: labels.get(rule.target_label, "") == _value(rule, labels),
    "dropequal": lambda rule, labels: labels.get(rule.target_label, "") != _value(rule, labels),
    "hashmod": _hash,
    "labelmap": _map,
    "labeldrop": lambda rule, labels: _filter(labels, rule.compiled, keep=False),
    "labelkeep": lambda rule, labels: _filter(labels, rule.compiled, keep=True),
    "lowercase": _cased(_lower),
    "uppercase": _cased(_upper),
}


def check(rule: Rule) -> str:
    """Return why Prometheus would reject the rule, with a remedy; empty: the rule is valid."""
    action, plain = rule.action, Rule()
    if action == "hashmod" and not rule.modulus:
        return "the action hashmod requires modulus; write a number above 0"
    if action in {"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"} and not rule.target_label:
        return f"the action {action} requires target_label; write the name of a label"
    if action in {"lowercase", "uppercase", "keepequal", "dropequal"} and rule.replacement != plain.replacement:
        return f"the action {action} does not use replacement; remove replacement"
    if action == "labelmap" and not rule.replacement:
        return "the action labelmap requires a replacement; write for example $1"
    allowed: Sequence[str] = _ALLOWED.get(action, ())
    if allowed:
        for name in ("source_labels", "separator", "regex", "modulus", "target_label", "replacement"):
            if name not in allowed and getattr(rule, name) != getattr(plain, name):
                return f"the action {action} uses only {' and '.join(allowed)}, but {name} is set; remove {name}"
    return ""


_ALLOWED: dict[Action, tuple[str, ...]] = {
    "keepequal": ("source_labels", "target_label"),
    "dropequal": ("source_labels", "target_label"),
    "labeldrop": ("regex",),
    "labelkeep": ("regex",),
}
