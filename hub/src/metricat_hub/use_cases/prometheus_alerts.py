"""The labels that a Prometheus adds to alerts before it sends them to an Alertmanager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from metricat_agent.config.yaml_text import YamlError, plain, read_text
from metricat_hub.model.errors import HubError, InvalidQueryError
from metricat_hub.model.json_text import decode_json
from metricat_hub.model.labels import from_mapping
from metricat_hub.sources.scrape.relabel import ACTIONS, Rule, check, relabel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.labels import Labels
    from metricat_hub.store.prometheus.api import Api


class _Config(msgspec.Struct):
    yaml: str = ""


@dataclass(frozen=True, slots=True)
class SentAlerts:
    """External labels and relabeling of alerts, from the configuration of a Prometheus."""

    external_labels: Mapping[str, str]
    rules: tuple[Rule, ...] = ()

    def labels(self, labels: Labels) -> Labels | None:
        """Return the labels with which Prometheus sends an alert to Alertmanager; None: relabelling drops the alert."""
        found = {**{name: value for name, value in self.external_labels.items() if value}, **dict(labels)}
        return from_mapping(found) if relabel(found, self.rules) else None


def sent_alerts(api: Api) -> SentAlerts:
    """Read from a Prometheus how it changes the labels of alerts.

    For a server without a configuration, labels are unchanged: Thanos and Mimir store alerts with external labels.
    """
    try:
        text = decode_json(api.get("/status/config").data, _Config).yaml
        root = plain(read_text(text))
    except (HubError, msgspec.MsgspecError, YamlError):
        root = None
    return parse(root)


def parse(root: object) -> SentAlerts:
    """Return the settings in a parsed configuration of Prometheus. Parts with an unexpected type are ignored."""
    external = _section(root, "global").get("external_labels")
    rules = _section(root, "alerting").get("alert_relabel_configs")
    return SentAlerts(
        {name: value for name, value in external.items() if isinstance(value, str)}
        if isinstance(external, dict)
        else {},
        tuple(rule for one in (rules if isinstance(rules, list) else []) if (rule := _rule(one)) is not None),
    )


def _section(root: object, name: str) -> Mapping[str, Any]:
    found = root.get(name) if isinstance(root, dict) else None
    return found if isinstance(found, dict) else {}


def _rule(given: object) -> Rule | None:
    """Return a rule; None for an unknown action, an invalid expression or a value of another type."""
    if not isinstance(given, dict):
        return None
    sources = given.get("source_labels") or []
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    if not isinstance(sources, list) or not all(isinstance(one, str) for one in sources):
        return None
    plain_rule = Rule()
    try:
        rule = Rule(
            cast("Any", texts.get("action", plain_rule.action)),
            tuple(sources),
            texts.get("separator", plain_rule.separator),
            texts.get("regex", plain_rule.regex),
            int(texts.get("modulus", "0")),
            texts.get("target_label", plain_rule.target_label),
            texts.get("replacement", plain_rule.replacement),
        )
    except (InvalidQueryError, ValueError):
        return None
    return None if rule.action not in ACTIONS or check(rule) else rule
