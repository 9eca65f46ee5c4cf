"""The AlertmanagerConfig that routes the alerts to receivers, and inhibits alerts that other alerts make redundant.

By default, the Prometheus Operator adds `namespace="..."` to its routes and to both sides of its inhibitions. Every
alert of Metricat has this label. The matcher `service` limits both to this target's alerts.
"""

import re

from metricat_operator import naming
from metricat_operator.api.notifications import DAYS, Email, PagerDuty, QuietHours, Receiver, SecretKey, Slack, Webhook
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context
from metricat_rules.durations import spec_seconds
from metricat_rules.inhibition import INHIBITIONS, Matcher

BLACKHOLE = "Blackhole"
"""The receiver of alerts that match no other receiver. The capital letter keeps users from taking the name."""

_GROUP_INTERVAL = 300
"""Alertmanager's default, in seconds."""

_TITLE = (
    "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }} ({{ .CommonLabels.severity }})"
    "{{ with .CommonLabels.node }} on {{ . }}{{ end }}"
)
_SINCE = (
    'Since {{ .StartsAt.UTC.Format "2006-01-02 15:04 UTC" }}'
    '{{ if eq .Status "resolved" }} until {{ .EndsAt.UTC.Format "15:04 UTC" }}{{ end }}.'
)
_ACTION = '{{ if eq .Status "firing" }}{{ with .Annotations.action }} To do: {{ . }}{{ end }}{{ end }}'
_TEXT = (
    f"{{{{ range .Alerts }}}}{{{{ .Annotations.summary }}}}. {{{{ .Annotations.description }}}} {_SINCE}"
    f"{_ACTION}"
    "{{ with .Annotations.runbook_url }} Runbook: {{ . }}{{ end }}\n{{ end }}"
)
_HTML = (
    "<!DOCTYPE html>\n<html><body>\n{{ range .Alerts }}"
    f"<p><b>{{{{ .Annotations.summary }}}}</b><br>\n{{{{ .Annotations.description }}}} {_SINCE}<br>\n{_ACTION}"
    '{{ with .Annotations.runbook_url }}<br>\n<a href="{{ . }}">Runbook</a>{{ end }}'
    '{{ with .GeneratorURL }}<br>\n<a href="{{ . }}">In Prometheus</a>{{ end }}</p>\n{{ end }}'
    '<p><a href="{{ .ExternalURL }}">Alertmanager</a></p>\n</body></html>\n'
)
"""The same text as HTML, for mail. Alertmanager's default lacks the start time."""


def alertmanager_config(context: Context) -> Manifest:
    """Return the AlertmanagerConfig. Each receiver has its own route, so that an alert can reach several receivers."""
    notifications = context.spec.notifications
    ours = Matcher("service", "=", naming.child(context.name))
    quiet = [_quiet(receiver) for receiver in notifications.receivers if receiver.quiet_hours]
    spec: Manifest = {
        "route": {
            "receiver": BLACKHOLE,
            "matchers": _matchers(ours),
            "groupBy": ["alertname", "severity"],
            "routes": [_route(receiver) for receiver in notifications.receivers],
        },
        "receivers": [{"name": BLACKHOLE}, *map(_receiver, notifications.receivers)],
        "inhibitRules": [
            {
                "sourceMatch": _matchers(ours, *rule.source),
                "targetMatch": _matchers(ours, *rule.target),
                "equal": list(rule.equal),
            }
            for rule in INHIBITIONS
        ],
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": context.metadata("notifications", labels=notifications.labels),
        "spec": spec | ({"muteTimeIntervals": quiet} if quiet else {}),
    }


def _matchers(*matchers: Matcher) -> list[Manifest]:
    return [{"name": one.name, "matchType": one.match, "value": one.value} for one in matchers]


def _route(receiver: Receiver) -> Manifest:
    wanted = [Matcher("severity", "=~", "|".join(receiver.severities))]
    if receiver.pools:
        wanted.append(Matcher("pool", "=~", "|".join(map(re.escape, receiver.pools))))
    return {
        "receiver": receiver.name,
        "matchers": _matchers(*wanted),
        "repeatInterval": receiver.repeat_interval,
        **_group_interval(receiver),
        "continue": True,
        **({"muteTimeIntervals": [receiver.name]} if receiver.quiet_hours else {}),
    }


def _group_interval(receiver: Receiver) -> Manifest:
    """Return the group interval: at Alertmanager's default of 5 minutes, a repeat interval of 5 would become 10."""
    often = int(spec_seconds(receiver.repeat_interval) / 10)
    return {"groupInterval": f"{often}s"} if often < _GROUP_INTERVAL else {}


def _receiver(receiver: Receiver) -> Manifest:
    found: Manifest = {"name": receiver.name}
    if receiver.email:
        found["emailConfigs"] = [_email(receiver.email)]
    if receiver.slack:
        found["slackConfigs"] = [_slack(receiver.slack)]
    if receiver.pager_duty:
        found["pagerdutyConfigs"] = [_pager_duty(receiver.pager_duty)]
    if receiver.webhook:
        found["webhookConfigs"] = [_webhook(receiver.webhook)]
    return found


def _email(email: Email) -> Manifest:
    return {
        "to": email.to,
        "from": email.sender,
        "smarthost": email.server,
        "requireTLS": True,
        "sendResolved": True,
        "headers": [{"key": "Subject", "value": _TITLE}],
        "text": _TEXT,
        "html": _HTML,
        **({"authUsername": email.username} if email.username else {}),
        **_secret("authPassword", email.password),
        **({"tlsConfig": {"ca": _secret("secret", email.ca)}} if email.ca else {}),
    }


def _slack(slack: Slack) -> Manifest:
    return {
        **_secret("apiURL", slack.url),
        **({"channel": slack.channel} if slack.channel else {}),
        "sendResolved": True,
        "title": _TITLE,
        "text": _TEXT,
    }


def _pager_duty(pager: PagerDuty) -> Manifest:
    return {
        **_secret("routingKey", pager.routing_key),
        **({"url": pager.url} if pager.url else {}),
        "sendResolved": True,
        "description": _TITLE,
        "details": [{"key": "alerts", "value": _TEXT}],
        "severity": "{{ .CommonLabels.severity }}",  # PagerDuty has the same severities
    }


def _webhook(webhook: Webhook) -> Manifest:
    token = _secret("credentials", webhook.token)
    return {
        **({"url": webhook.url} if webhook.url else {}),
        **_secret("urlSecret", webhook.url_secret),
        "sendResolved": True,
        **({"httpConfig": {"authorization": token}} if token else {}),
    }


def _secret(field: str, secret: SecretKey | None) -> Manifest:
    return {field: {"name": secret.name, "key": secret.key}} if secret else {}


def _quiet(receiver: Receiver) -> Manifest:
    intervals = [interval for quiet in receiver.quiet_hours for interval in _intervals(quiet)]
    return {"name": receiver.name, "timeIntervals": intervals}


def _intervals(quiet: QuietHours) -> list[Manifest]:
    """Return Alertmanager's time intervals. Each ends on the day it begins, so quiet hours past midnight become two."""

    def interval(begin: str, end: str, later: int) -> Manifest:
        days = sorted((DAYS.index(day) + later) % 7 for day in set(quiet.days))
        return {
            "times": [{"startTime": begin, "endTime": end}],
            **({"weekdays": [DAYS[day] for day in days]} if len(days) < len(DAYS) else {}),
        }

    if quiet.begin < quiet.end:
        return [interval(quiet.begin, quiet.end, 0)]
    tonight = interval(quiet.begin, "24:00", 0)
    return [tonight] if quiet.end == "00:00" else [tonight, interval("00:00", quiet.end, 1)]
