"""Inhibition: while a source alert fires, the hub sends no notifications about its target alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.dispatch.matchers import AlertMatchers
from metricat_hub.model.ports import Matcher
from metricat_rules.inhibition import INHIBITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """An inhibition rule. It applies to a source and a target alert with equal values of all labels in `equal`.

    A missing label equals an empty one.
    """

    source: AlertMatchers
    target: AlertMatchers
    equal: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """The role of an alert in an inhibition rule: source, target or both."""

    rule: int
    values: tuple[str, ...]
    """The alert's values of the labels `equal`."""
    is_source: bool
    is_target: bool


def roles(rules: tuple[InhibitRule, ...], labels: Mapping[str, str]) -> tuple[Role, ...]:
    """Return the roles of an alert: one for each rule in which it is a source or a target."""
    found = []
    for number, rule in enumerate(rules):
        is_source, is_target = rule.source.match(labels), rule.target.match(labels)
        if is_source or is_target:
            values = tuple(labels.get(name, "") for name in rule.equal)
            found.append(Role(number, values, is_source, is_target))
    return tuple(found)


class Sources:
    """The firing alerts that are sources of inhibition rules."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, tuple[str, ...], bool], str] = {}

    def add(self, fingerprint: str, roles: tuple[Role, ...]) -> None:
        """Add a firing alert with its roles."""
        for role in roles:
            if role.is_source:
                self._first.setdefault((role.rule, role.values, role.is_target), fingerprint)

    def inhibiting(self, roles: tuple[Role, ...]) -> str:
        """Return the fingerprint of an alert that inhibits an alert with these roles; empty if none does.

        An alert that is both source and target of a rule is inhibited only by alerts that are sources only. Otherwise,
        two such alerts would inhibit each other.
        """
        for role in roles:
            if not role.is_target:
                continue
            found = self._first.get((role.rule, role.values, False))
            if found is None and not role.is_source:
                found = self._first.get((role.rule, role.values, True))
            if found is not None:
                return found
        return ""


def _shipped() -> tuple[InhibitRule, ...]:
    return tuple(
        InhibitRule(
            AlertMatchers(Matcher(one.name, one.match, one.value) for one in rule.source),
            AlertMatchers(Matcher(one.name, one.match, one.value) for one in rule.target),
            rule.equal,
        )
        for rule in INHIBITIONS
    )


SHIPPED = _shipped()
"""The rules of the alert catalogue: a critical alert inhibits warnings about the same resource of the same node."""
