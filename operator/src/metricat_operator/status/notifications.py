"""Check that an Alertmanager selects the AlertmanagerConfig of a target; report its name, or the reason for none."""

from metricat_operator.api.parse import Parsed
from metricat_operator.conditions import Condition, ConditionType, Reason
from metricat_operator.facts.model import Facts, Manifest
from metricat_operator.status.conditions import from_finding
from metricat_operator.verification.selection import Finding, Subject, find_selection

KIND = "AlertmanagerConfig"


def notifications_configured(target: Manifest, parsed: Parsed, facts: Facts) -> list[Condition]:
    """Return the condition `NotificationsConfigured`; an empty list if the target has no receivers."""
    if parsed.spec is None or not parsed.spec.notifications.receivers:
        return []
    return [from_finding(ConditionType.NOTIFICATIONS_CONFIGURED, finding(target["metadata"]["name"], facts))]


def finding(target: str, facts: Facts) -> Finding:
    """Return, for a target that has receivers, whether an Alertmanager selects its AlertmanagerConfig."""
    if KIND in facts.unserved:
        return Finding(None, Reason.NOT_SERVED, f"The cluster does not serve {KIND}. See Applied.")
    config = next((child for key, child in facts.children.items() if key.kind == KIND), None)
    if config is None:
        return Finding(None, Reason.NO_CONFIG, f"No {KIND} exists yet. See Applied.")
    subject = Subject(KIND, "notifications.labels", config, facts.namespace_labels, instance_kind="Alertmanager")
    found = find_selection(target, [subject], facts.instances, facts.rejections)
    return Finding(holds=True, reason=Reason.NOTIFICATIONS_CONFIGURED, message=found.message) if found.holds else found
