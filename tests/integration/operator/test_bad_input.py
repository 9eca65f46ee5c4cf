"""Errors of invalid targets: from the API server at apply, or in the target's conditions."""

import re
from typing import Any

import pytest

from metricat_operator import naming
from metricat_tools.cluster.api import ClusterApiError
from support.harness import CHILD, OLD, Cluster, Manifest, eventually, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")


def _both(old: str, new: str) -> str:
    return f"{old} is the deprecated name of {new}. Remove {old}."


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"agent": {"prot": 9100}}, 'unknown field "spec.agent.prot"'),
    "negative port": ({"agent": {"port": -1}}, "spec.agent.port: Invalid value: -1"),
    "port as text": ({"agent": {"port": "http"}}, "spec.agent.port"),
    "bad label": ({"monitor": {"labels": {"re lease": "kps"}}}, "key re lease is not a Kubernetes label key"),
    "bad label value": ({"monitor": {"labels": {"release": "k p s"}}}, "spec.monitor.labels.release"),
    "Metricat's own label": (
        {"monitor": {"labels": {"app.kubernetes.io/instance": "kps"}}},
        "Metricat sets app.kubernetes.io/instance. Choose another label name.",
    ),
    "bad series label": ({"agent": {"extraLabels": {"my-env": "x"}}}, "key my-env is not a Prometheus label name"),
    "reserved label": (
        {"agent": {"extraLabels": {"team": "a", "node": "x"}}},
        "Metricat sets node. Choose another label name.",
    ),
    "bad regex": ({"agent": {"collectors": {"netdev": {"excludeDevices": "(veth"}}}}, "missing closing )"),
    "unknown collector": (
        {"agent": {"collectors": {"switches": {"perf": True}}}},
        "a key is not a collector that switches can set",
    ),
    "unknown flag of a collector": (
        {"agent": {"collectors": {"flags": {"perf.cpus": "1"}}}},
        "a key is not a flag that flags can set",
    ),
    "relative directory": (
        {"agent": {"collectors": {"textfile": {"directories": ["../etc"]}}}},
        "spec.agent.collectors.textfile.directories[0]",
    ),
    "mount over the agent": (
        {"agent": {"extraMounts": [{"hostPath": "/run", "mountPath": "/etc/metricat"}]}},
        "The agent's container already uses this path.",
    ),
    "bad duration": ({"monitor": {"interval": "15sec"}}, '"15sec": must be a duration such as 30s, 5m or 1h30m'),
    "bad timeout": ({"monitor": {"scrapeTimeout": "5 s"}}, '"5 s": must be a duration such as 30s, 5m or 1h30m'),
    "a limit in bytes": (
        {"agent": {"resources": {"limits": {"memory": 10}}}},
        "limits.memory is too low. The agent needs at least 16Mi. A number without a suffix is in bytes",
    ),
    "impossible quantity": (
        {"agent": {"resources": {"limits": {"memory": "much"}}}},
        "must be a quantity such as 100m, 0.5 or 64Mi",
    ),
    "negative quantity": ({"agent": {"resources": {"limits": {"memory": -1}}}}, "0.5 or 64Mi, not below zero"),
    "bad percentage": ({"agent": {"updateStrategy": {"maxUnavailable": "200%"}}}, "must be a whole number, 1 or more"),
    "nothing may be unavailable": (
        {"agent": {"updateStrategy": {"maxUnavailable": 0}}},
        "must be a whole number, 1 or more",
    ),
    "timeout over interval": (
        {"monitor": {"interval": "5s", "scrapeTimeout": "6s"}},
        "scrapeTimeout must not be longer than interval (default 15s). Shorten scrapeTimeout or lengthen interval.",
    ),
    "unknown alert": ({"alerts": {"rules": {"NodeIsSad": {}}}}, 'unknown field "spec.alerts.rules.NodeIsSad"'),
    "alert and record": (
        {"alerts": {"extraGroups": [{"name": "g", "rules": [{"alert": "A", "record": "b", "expr": "1"}]}]}},
        "a rule needs exactly one of alert and record",
    ),
    "a rule that records, with what only an alert has": (
        {"alerts": {"extraGroups": [{"name": "g", "rules": [{"record": "a:b", "expr": "1", "for": "5m"}]}]}},
        "a recording rule takes no for, keep_firing_for or annotations. Remove them.",
    ),
    "request over limit": (
        {"agent": {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "500M"}}}},
        "requests.memory is more than limits.memory. Raise the limit or lower the request.",
    ),
    "two groups of one name": (
        {"alerts": {"extraGroups": [{"name": "g", "rules": []}, {"name": "g", "rules": []}]}},
        "Duplicate value",
    ),
}
NO_NAME = "a key is not a Prometheus label name."
REFUSED |= {
    f"an alert's label: {what}": ({"alerts": {"rules": {"NodeLoadHigh": {"labels": {label: "a"}}}}}, message)
    for what, label, message in (
        ("reserved", "severity", "an alert has the label severity, which Metricat sets. Choose another label name."),
        ("of its series", "device", "an alert has the label device, which Metricat sets. Choose another label name."),
        ("no name", "my-team", NO_NAME),
        ("Prometheus' own", "__name__", NO_NAME),
    )
}
REFUSED["an alert's label: reserved, of a pool"] = (
    {
        "pools": [
            {
                "name": "a",
                "nodeSelector": {"matchLabels": {"a": "b"}},
                "alerts": {"rules": {"NodeLoadHigh": {"labels": {"resource": "x"}}}},
            }
        ]
    },
    "an alert has the label resource, which Metricat sets. Choose another label name.",
)
REFUSED["a series label of Prometheus' own"] = (
    {"agent": {"extraLabels": {"__name__": "x"}}},
    "key __name__ is not a Prometheus label name",
)
FIVE = {"matchLabels": {f"k{number}": "v" for number in range(5)}}
REFUSED |= {
    f"pool: {what}": ({"pools": [{"name": "gpu", "nodeSelector": {"matchLabels": {"a": "b"}}} | change]}, message)
    for what, change, message in (
        ("of the default's name", {"name": "default"}, "default is the name of the pool of all other nodes"),
        ("without a name", {"name": ""}, "spec.pools[0].name"),
        ("for all nodes", {"nodeSelector": {}}, "a pool needs a label or an expression that selects nodes"),
        (
            "In without values",
            {"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "In and NotIn need values",
        ),
        ("bad port", {"agent": {"port": 0}}, "spec.pools[0].agent.port"),
        ("bad regex", {"agent": {"collectors": {"diskstats": {"excludeDevices": "("}}}}, "missing closing )"),
        ("unknown field", {"agent": {"prot": 1}}, 'unknown field "spec.pools[0].agent.prot"'),
        ("bad quantity", {"agent": {"resources": {"limits": {"memory": "much"}}}}, "limits.memory in body should"),
        ("none unavailable", {"agent": {"updateStrategy": {"maxUnavailable": 0}}}, "greater than or equal to 1"),
        ("reserved label", {"agent": {"extraLabels": {"pool": "x"}}}, ". Choose another label name."),
    )
}
REFUSED |= {
    f"relabelling: {what}": ({"monitor": {"metricRelabelings": [one]}}, message)
    for what, one, message in (
        ("unknown action", {"action": "rename"}, "spec.monitor.metricRelabelings[0].action: Unsupported value"),
        ("bad regex", {"action": "drop", "regex": "("}, "missing closing )"),
        ("bad label", {"action": "drop", "sourceLabels": ["a-b"]}, "metricRelabelings[0].sourceLabels[0]"),
        ("replace what", {"sourceLabels": ["device"]}, "replace (the default), hashmod, lowercase, uppercase"),
        ("hashmod by what", {"action": "hashmod", "targetLabel": "part"}, "hashmod needs modulus"),
        ("labeldrop of what", {"action": "labeldrop", "sourceLabels": ["a"]}, "take only regex"),
        ("keepequal", {"action": "keepequal", "targetLabel": "a", "regex": "b"}, "take only sourceLabels and"),
    )
}
REFUSED |= {
    f"web: {what}": ({"agent": {"web": web}}, message)
    for what, web, message in (
        ("no name of a Secret", {"tlsSecretName": "TLS"}, "spec.agent.web.tlsSecretName"),
        (
            "client certificates without TLS",
            {"tlsSecretName": "", "clientCASecretName": "ca", "prometheusClientSecretName": "own"},
            "clientCASecretName needs tlsSecretName",
        ),
        (
            "none for Prometheus",
            {"tlsSecretName": "tls", "clientCASecretName": "ca"},
            "clientCASecretName and prometheusClientSecretName must be set together",
        ),
        ("a name without TLS", {"serverName": "agents.example.com"}, "serverName needs tlsSecretName"),
    )
}
REFUSED["web of a pool"] = (
    {"pools": [{"name": "a", "nodeSelector": {"matchLabels": {"a": "b"}}, "agent": {"web": {"tlsSecretName": "t"}}}]},
    'unknown field "spec.pools[0].agent.web"',
)
REFUSED |= {
    f"toleration: {what}": ({"agent": {"tolerations": [one]}}, message)
    for what, one, message in (
        ("of nothing", {"effect": "NoSchedule"}, "a toleration without a key matches every taint and needs operator"),
        ("of a value", {"key": "a", "operator": "Exists", "value": "b"}, "operator Exists takes no value"),
        ("for a time", {"operator": "Exists", "tolerationSeconds": 5}, "tolerationSeconds needs effect NoExecute"),
        ("bad key", {"key": "a b"}, "spec.agent.tolerations[0].key"),
    )
}
REFUSED["no name of a class"] = ({"agent": {"priorityClassName": "High!"}}, "spec.agent.priorityClassName")
REFUSED["too long a time"] = ({"monitor": {"interval": "9999999999h"}}, "spec.monitor.interval")
REFUSED |= {
    f"{field} is nothing": ({section: value}, "must be greater than zero, for example 15s")
    for field, section, value in (
        ("interval", "monitor", {"interval": "0s", "scrapeTimeout": "1s"}),
        ("scrapeTimeout", "monitor", {"scrapeTimeout": "0h0m0s"}),
        ("a group's interval", "alerts", {"extraGroups": [{"name": "g", "interval": "00s"}]}),
    )
}
TURNED = {"warning": {"threshold": 90}, "critical": {"threshold": 70}}
OF_A_POOL: dict[str, Any] = {"name": "a", "nodeSelector": {"matchLabels": {"a": "b"}}}
REFUSED |= {
    f"thresholds: {what}": (spec, message)
    for what, spec, message in (
        (
            "over all",
            {"alerts": {"rules": {"NodeCPUUsageHigh": {"warning": {"threshold": 101}}}}},
            "should be less than or equal to 100",
        ),
        (
            "below nothing",
            {"alerts": {"rules": {"NodeNetworkDropsHigh": {"warning": {"threshold": -1}}}}},
            "should be greater than or equal to 0",
        ),
        (
            "the wrong way round",
            {"alerts": {"rules": {"NodeCPUUsageHigh": TURNED}}},
            "critical.threshold must be at least warning.threshold, because higher values of NodeCPUUsageHigh",
        ),
        (
            "of hours that are left",
            {
                "alerts": {
                    "rules": {"NodeFilesystemFillsUp": {"warning": {"threshold": 4}, "critical": {"threshold": 5}}}
                }
            },
            "critical.threshold must be at most warning.threshold, because lower values of NodeFilesystemFillsUp",
        ),
        (
            "of a pool",
            {"pools": [OF_A_POOL | {"alerts": {"rules": {"NodeCPUUsageHigh": TURNED}}}]},
            "critical.threshold must be at least warning.threshold",
        ),
    )
}
REFUSED["both ways in a pool"] = (
    {"pools": [OF_A_POOL | {"agent": {"collectors": {"diskstats": {"excludeDevices": "a", "includeDevices": "b"}}}}]},
    "excludeDevices and includeDevices cannot be combined. Remove one of them.",
)
REFUSED["no role"] = ({"monitor": {"serviceDiscoveryRole": "endpoints"}}, "Unsupported value")
REFUSED["both ways"] = (
    {"agent": {"collectors": {"netdev": {"excludeDevices": "^veth", "includeDevices": "^eth"}}}},
    "excludeDevices and includeDevices cannot be combined. Remove one of them.",
)
REFUSED["no way to mask"] = ({"agent": {"collectors": {"processes": {"mask": "rot13"}}}}, "Unsupported value")
REFUSED |= {
    f"both names of a collector's field: {old}": ({"agent": {"collectors": collectors}}, _both(old, new))
    for old, new, collectors in (
        ("load", "loadavg", {"load": {}, "loadavg": {}}),
        ("memory", "meminfo", {"memory": {}, "meminfo": {}}),
        ("disk", "diskstats", {"disk": {}, "diskstats": {}}),
        ("network", "netdev", {"network": {}, "netdev": {}}),
        ("mask", "hashNames", {"processes": {"mask": "none", "hashNames": False}}),
    )
}
REFUSED["both names of a collector in a pool"] = (
    {"pools": [OF_A_POOL | {"agent": {"collectors": {"load": {}, "loadavg": {}}}}]},
    _both("load", "loadavg"),
)
REFUSED["relabelling of targets"] = ({"monitor": {"relabelings": []}}, 'unknown field "spec.monitor.relabelings"')
SECRET = {"name": "on-call", "key": "it"}
REFUSED |= {
    f"receiver: {what}": ({"notifications": {"receivers": [{"name": "a", "slack": {"url": SECRET}} | change]}}, message)
    for what, change, message in (
        ("no way to tell", {"slack": None}, "a receiver needs an address. Set email, slack, pagerDuty or webhook."),
        ("our own name", {"name": "Blackhole"}, "spec.notifications.receivers[0].name"),
        (
            "repeat interval below 1m",
            {"repeatInterval": "10s"},
            'receivers[0].repeatInterval: Invalid value: "10s": must be 1m or more',
        ),
        (
            "deprecated repeat below 1m",
            {"repeat": "10s"},
            'receivers[0].repeat: Invalid value: "10s": must be 1m or more',
        ),
        (
            "both names of the repeat interval",
            {"repeat": "4h", "repeatInterval": "4h"},
            "repeat is the deprecated name of repeatInterval. Remove repeat.",
        ),
        ("a secret itself", {"slack": {"url": "https://hooks.slack.com/x"}}, "receivers[0].slack.url"),
        ("unknown severity", {"severities": ["page"]}, "Unsupported value"),
        ("no URL", {"webhook": {}}, "a webhook needs exactly one of url and urlSecret"),
        (
            "a user without a password",
            {"email": {"to": "a@b.c", "from": "d@e.f", "server": "mail:587", "username": "me"}},
            "username and password must be set together",
        ),
        ("no port", {"email": {"to": "a@b.c", "from": "d@e.f", "server": "mail"}}, "receivers[0].email.server"),
        (
            "no time",
            {"quietHours": [{"from": "20:00", "to": "20:00"}]},
            "from and to are the same time. For a whole day, use from 00:00 to 24:00.",
        ),
        ("no such pool", {"pools": ["gpu"]}, "a receiver selects a pool that does not exist. Use a name"),
    )
}
REFUSED["too many terms"] = (
    {"pools": [{"name": name, "nodeSelector": FIVE} for name in "abc"]},
    "the product of the pools' numbers of labels and expressions must be at most 64",
)
REFUSED["two pools of one name"] = (
    {"pools": [{"name": "a", "nodeSelector": {"matchLabels": {"a": value}}} for value in "xy"]},
    "Duplicate value",
)


@pytest.mark.parametrize("what", REFUSED)
def test_invalid_spec_is_rejected_at_apply(cluster: Cluster, what: str) -> None:
    spec, message = REFUSED[what]
    with pytest.raises(ClusterApiError) as refused:
        cluster.create(target("monitoring", spec))
    if OLD:  # Kubernetes 1.30 writes the type of a scalar value that a CEL rule rejects
        message = re.sub(r'Invalid value: "[^"]*": must', 'Invalid value: "string": must', message)
    assert message in str(refused.value)


def test_omitted_and_disabled_thresholds_are_accepted(cluster: Cluster) -> None:
    off = {"warning": {"threshold": 90, "enabled": False}, "critical": {"threshold": 70}}
    every = {
        "NodeCPUUsageHigh": off,
        "NodeMemoryUsageHigh": {"warning": {"threshold": 97}},
        "NodeInodeUsageHigh": {"warning": None, "critical": {"threshold": 1}},
        "NodeConntrackHigh": None,
    }
    cluster.apply(target("monitoring", {"alerts": {"rules": every}}), dry_run=True)
    cluster.apply(target("monitoring", {"pools": [OF_A_POOL | {"alerts": {"rules": every}}]}), dry_run=True)


def test_rejected_edit_shows_in_the_accepted_column(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.apply(target(namespace, {"agent": {"collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}}))
    eventually(lambda: accepted(cluster, namespace).get("status") == "False")
    names, values = (line.split() for line in cluster.do("get", "mtarget", "-n", namespace).splitlines())
    assert values[names.index("ACCEPTED") - 1] == "False"  # SCRAPED is empty, because no Prometheus exists


def test_rejected_new_target_writes_no_objects(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace, {"agent": {"collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}}))
    eventually(lambda: accepted(cluster, namespace).get("status") == "False")
    assert accepted(cluster, namespace)["message"].endswith(
        " The operator changes no managed objects until the spec is corrected."
    )
    assert cluster.get("daemonset", CHILD, namespace) is None


def accepted(cluster: Cluster, namespace: str) -> Manifest:
    return cluster.condition(namespace, "nodes", "Accepted")


def test_pattern_that_only_the_agent_refuses_keeps_running_objects(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    before = cluster.get("daemonset", CHILD, namespace)
    # \\z is RE2's, which the API server speaks; the agent's engine calls that \\Z.
    cluster.apply(
        target(namespace, {"agent": {"port": 9200, "collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}})
    )
    eventually(lambda: accepted(cluster, namespace).get("status") == "False")
    said = accepted(cluster, namespace)
    assert said["message"].startswith(
        "spec.agent.collectors.diskstats.excludeDevices: 'sd\\\\z' is not a regular expression"
    )
    assert "Existing objects stay unchanged" in said["message"]
    after = cluster.get("daemonset", CHILD, namespace)
    assert before
    assert after
    assert after["spec"] == before["spec"]


def test_deprecated_names_are_accepted_with_a_warning(cluster: Cluster, namespace: str) -> None:
    receiver = {"name": "chat", "slack": {"url": SECRET}, "repeat": "1h"}
    pool = OF_A_POOL | {"agent": {"collectors": {"processes": {"mask": "hash"}}}}
    old = {
        "agent": {"collectors": {"load": {"enabled": False}}},
        "pools": [pool],
        "notifications": {"receivers": [receiver]},
    }
    cluster.apply(target(namespace, old))
    eventually(lambda: accepted(cluster, namespace).get("reason") == "AcceptedWithWarnings")
    assert accepted(cluster, namespace)["status"] == "True"
    message = accepted(cluster, namespace)["message"]
    for warning in (
        "spec.agent.collectors.load is deprecated. Use loadavg",
        "spec.pools[0].agent.collectors.processes.mask is deprecated. Use hashNames",
        "spec.notifications.receivers[0].repeat is deprecated. Use repeatInterval",
    ):
        assert warning in message
    eventually(lambda: "--no-collector.loadavg" in str(cluster.get("daemonset", CHILD, namespace)))
    eventually(lambda: "mask=hash" in str(cluster.get("daemonset", naming.pool_child("nodes", "a"), namespace)))


def test_invalid_promql_is_a_warning_and_shipped_rules_stay(cluster: Cluster, namespace: str) -> None:
    group = {"name": "own", "rules": [{"alert": "Broken", "expr": "sum(rate(up[5m])"}]}
    cluster.apply(target(namespace, {"alerts": {"extraGroups": [group]}}))
    eventually(lambda: accepted(cluster, namespace).get("reason") == "AcceptedWithWarnings")
    message = accepted(cluster, namespace)["message"]
    assert "spec.alerts.extraGroups[0].rules[0].expr: 'sum(rate(up[5m])' is not valid PromQL" in message
    wait_ready(cluster, namespace)
    shipped = cluster.get("prometheusrule", CHILD, namespace)
    extra = cluster.get("prometheusrule", f"extra-{CHILD}", namespace)
    assert shipped
    assert extra
    assert "Broken" not in str(shipped["spec"])
    assert "Broken" in str(extra["spec"])
