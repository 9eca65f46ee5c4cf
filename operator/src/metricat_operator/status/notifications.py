"""Whether somebody is told of a target's alerts: which Alertmanager takes its AlertmanagerConfig, or why none."""

from metricat_operator.api.parse import Parsed
from metricat_operator.facts.model import Facts, Manifest
from metricat_operator.status.conditions import told
from metricat_operator.verification.selection import Finding, Subject, discovered

KIND = "AlertmanagerConfig"


def notified(target: Manifest, parsed: Parsed, facts: Facts) -> list[Manifest]:
    """The condition `Notified`; none where the target has no receivers."""
    if parsed.spec is None or not parsed.spec.notifications.receivers:
        return []
    return [told("Notified", finding(target["metadata"]["name"], facts))]


def finding(target: str, facts: Facts) -> Finding:
    """What is known of a target that has receivers."""
    if KIND in facts.unserved:
        return Finding(None, "NotServed", f"the cluster does not serve {KIND}")
    config = next((child for key, child in facts.children.items() if key.kind == KIND), None)
    if config is None:
        return Finding(None, "NoConfig", f"there is no {KIND} yet")
    subject = Subject(KIND, "notifications.labels", config, facts.namespace_labels, instance="Alertmanager")
    selected = discovered(target, [subject], facts.instances, facts.rejections)
    return Finding(holds=True, reason="Selected", message=selected.message) if selected.holds else selected
