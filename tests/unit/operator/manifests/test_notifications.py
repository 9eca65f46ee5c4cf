"""The AlertmanagerConfig of the receivers, the rejection of invalid ones, and the condition about its selection."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from metricat_operator.api.parse import parse
from metricat_operator.cluster.cluster_cache import instance, trim_instance
from metricat_operator.cluster.kinds import CONFIG_FIELDS, INSTANCE_KINDS
from metricat_operator.facts.model import Facts, ObjectKey, PrometheusInstance
from metricat_operator.facts.prometheus_query import Rejection
from metricat_operator.status.notifications import KIND, finding
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.inhibition import INHIBITIONS
from metricat_tools.generate import golden

SLACK = {"url": {"name": "on-call", "key": "slack"}}
DAY = timedelta(days=1)
SUNDAY = datetime.fromisoformat("2026-03-01")


def config(*receivers: dict[str, Any]) -> dict[str, Any]:
    target = {"metadata": {"name": "nodes", "namespace": "ns"}, "spec": {"notifications": {"receivers": receivers}}}
    [found] = [child for child in golden.manifests(target) if child["kind"] == KIND]
    spec: dict[str, Any] = found["spec"]
    return spec


def muted(intervals: list[dict[str, Any]], now: datetime) -> bool:
    """Return whether Alertmanager (package `timeinterval`) mutes: on these days, from start until before end."""
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    return any(
        days[now.weekday()] in one.get("weekdays", days)
        and any(time["startTime"] <= f"{now:%H:%M}" < time["endTime"] for time in one["times"])
        for one in intervals
    )


@pytest.mark.parametrize(
    ("days", "begin", "end"),
    [
        (None, "22:00", "06:30"),
        (None, "08:00", "09:15"),
        (["friday"], "18:00", "08:00"),
        (["saturday"], "20:00", "00:00"),
        (["sunday", "saturday"], "00:00", "24:00"),
    ],
)
def test_quiet_hours_mute_exactly_their_times(days: list[str] | None, begin: str, end: str) -> None:
    quiet = {"from": begin, "to": end} | ({"days": days} if days else {})
    [named] = config({"name": "chat", "slack": SLACK, "quietHours": [quiet]})["muteTimeIntervals"]

    def meant(now: datetime) -> bool:
        """Return whether the quiet hours of any day have begun and not ended."""
        for midnight in (SUNDAY + DAY * number for number in range(-1, 9)):
            if days and f"{midnight:%A}".lower() not in days:
                continue
            start, stop = (midnight + offset(time) for time in (begin, end))
            if start <= now < (stop if stop > start else stop + DAY):
                return True
        return False

    for quarter in range(7 * 24 * 4):
        now = SUNDAY + timedelta(minutes=15 * quarter)
        assert muted(named["timeIntervals"], now) == meant(now), now


def offset(time: str) -> timedelta:
    hours, minutes = map(int, time.split(":"))
    return timedelta(hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slack": None}, "receivers[0]: receiver chat needs an address. Set email, slack, pagerDuty or webhook."),
        ({"repeatInterval": "30s"}, "receivers[0].repeatInterval: 30s is too short. Use 1m or more."),
        ({"pools": ["gpu", "cpu"]}, "receivers[0].pools: pool cpu does not exist. The target's pools: gpu, default."),
        ({"webhook": {}}, "receivers[0].webhook: needs exactly one of url and urlSecret."),
        (
            {"email": {"to": "a@b", "from": "c@d", "server": "mail:25", "username": "me"}},
            "receivers[0].email: username and password must be set together. Set both, or neither",
        ),
        ({"email": {"to": "a@b", "from": "c@d", "server": "mail"}}, "receivers[0].email.server"),
        ({"quietHours": [{"from": "20:00", "to": "20:00"}]}, "For a whole day, use from 00:00 to 24:00."),
        ({"name": "Blackhole"}, "receivers[0].name"),
        ({"slack": {"url": "https://hooks.slack.com/T0/B0/secret"}}, "receivers[0].slack.url"),
    ],
)
def test_invalid_receivers_are_rejected_with_the_path(change: dict[str, Any], message: str) -> None:
    receiver = {"name": "chat", "slack": SLACK, **change}
    pools = [{"name": "gpu", "nodeSelector": {"matchLabels": {"gpu": "yes"}}}]
    [error] = parse({"pools": pools, "notifications": {"receivers": [receiver]}}).errors
    assert message in error


@pytest.mark.parametrize(
    ("repeat", "looked_at"), [("1m", "6s"), ("5m", "30s"), ("49m", "294s"), ("50m", None), ("4h", None)]
)
def test_the_group_interval_allows_the_repeat_interval(repeat: str, looked_at: str | None) -> None:
    """Alertmanager repeats at the first group interval after the repeat interval: at 5 minutes, 1m would become 5m."""
    [route] = config({"name": "chat", "slack": SLACK, "repeatInterval": repeat})["route"]["routes"]
    assert route["repeatInterval"] == repeat
    assert route.get("groupInterval") == looked_at


def test_two_receivers_with_one_name_are_rejected() -> None:
    twice = [{"name": "chat", "slack": SLACK}] * 2
    [error] = parse({"notifications": {"receivers": twice}}).errors
    assert error == "spec.notifications.receivers[1].name: an earlier item has the name chat. Choose another name."


def test_the_object_contains_no_secret_value() -> None:
    """Secrets are references: the only texts are names, addresses and URLs."""
    text = yaml.safe_dump(config({"name": "chat", "slack": SLACK}))
    assert "on-call" in text
    assert "apiURL" in text


def test_every_alert_has_the_labels_of_routes_and_inhibitions() -> None:
    """The Prometheus Operator adds `namespace` to routes and inhibitions. Ours use `service` and `resource`."""
    target = {"metadata": {"name": "nodes", "namespace": "ns"}, "spec": {}}
    [rule] = [child for child in golden.manifests(target) if child["kind"] == "PrometheusRule"]
    alerts = [one for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one]
    assert len(alerts) == sum(len(alert.levels) for alert in CATALOGUE)
    for alert in alerts:
        labels = alert["labels"]
        assert (labels["namespace"], labels["service"]) == ("ns", "metricat-nodes")
        assert labels["resource"]


def test_a_critical_alert_inhibits_only_its_own_warning() -> None:
    """Alerts with different names share a resource only if one of them is the more severe form of the other."""
    by_resource: dict[str, set[str]] = {}
    for alert in CATALOGUE:
        by_resource.setdefault(alert.resource, set()).add(alert.name)
    shared = {frozenset(names) for names in by_resource.values() if len(names) > 1}
    assert shared == {
        frozenset({"NodeRAIDDegraded", "NodeRAIDDiskFailed"}),
        frozenset({"NodeFilesystemUsageHigh", "NodeImageFilesystemUsageHigh"}),  # of one filesystem, never both
        frozenset({"NodePressureEviction", "NodeUnhealthy"}),  # of one condition of the node, never both
    }
    for rule in INHIBITIONS:
        compared = {"cluster", "namespace", "service", "node"}
        assert compared <= set(rule.equal)


def alertmanager(**selectors: Any) -> PrometheusInstance:
    chosen, spaces = (selectors.get(field) for field in CONFIG_FIELDS)
    resource = "alertmanagers.monitoring.coreos.com"
    return PrometheusInstance("Alertmanager", resource, "ns", "main", {KIND: (chosen, spaces)}, {KIND: CONFIG_FIELDS})


def facts(*instances: PrometheusInstance, said: str = "") -> Facts:
    child = {"metadata": {"namespace": "ns", "name": "metricat-nodes", "uid": "u", "labels": {"team": "a"}}}
    rejections = (Rejection("u", said, "Alertmanager ns/main"),) if said else ()
    return Facts(children={ObjectKey(KIND, "metricat-nodes"): child}, instances=instances, rejections=rejections)


def test_the_selecting_alertmanager_or_the_missing_label_is_reported() -> None:
    assert finding("nodes", facts()).reason == "NoAlertmanager"
    chosen = finding("nodes", facts(alertmanager(alertmanagerConfigSelector={})))
    assert (chosen.holds, chosen.message) == (True, "Alertmanager ns/main selects the AlertmanagerConfig")
    label = finding("nodes", facts(alertmanager(alertmanagerConfigSelector={"matchLabels": {"release": "kps"}})))
    assert label.reason == "LabelMissing"
    assert label.message.endswith(
        "kubectl patch mtarget nodes -n ns --type merge -p "
        """'{"spec": {"notifications": {"labels": {"release": "kps"}}}}'"""
    )
    none = finding("nodes", facts(alertmanager()))
    assert none.reason == "SelectorNotSet"
    assert """-p '{"spec": {"alertmanagerConfigSelector": {}}}'""" in none.message
    assert finding("nodes", Facts(unserved=frozenset({KIND}))).holds is None


def test_a_rejection_for_a_missing_secret_is_reported() -> None:
    found = finding("nodes", facts(alertmanager(alertmanagerConfigSelector={}), said='secret "on-call" not found'))
    assert (found.holds, found.reason) == (False, "ConfigRejected")
    assert 'rejects the AlertmanagerConfig for Alertmanager ns/main: secret "on-call" not found' in found.message


def test_only_alertmanagers_have_the_pods_of_an_alertmanager() -> None:
    pod = {"labels": {"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main"}, "gone": False}
    pod |= {"metadata": {"namespace": "ns", "name": "alertmanager-main-0"}, "trouble": "", "address": "10.0.0.9"}
    for kind in INSTANCE_KINDS:
        trimmed = trim_instance({"kind": kind.name, "metadata": {"namespace": "ns", "name": "main"}, "spec": {}})
        found = instance(trimmed, [pod | {"ports": {"web": 9093}}])
        assert [one.address for one in found.servers] == ["10.0.0.9"] * (kind.name == "Alertmanager")
