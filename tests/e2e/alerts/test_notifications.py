"""The real Alertmanager sends each receiver only its alerts, and mail over TLS.

Both nodes share one kernel, so their memory usage is equal. The pool `other` disables the critical level.
"""

import base64
import io
import json
import time
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster, target
from metricat_tools.stack.apis import NAMESPACE, ActiveAlert
from metricat_tools.stack.wait import pod_problems, until
from support import sink
from support.certificates import self_signed

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ALERT = "NodeMemoryUsageHigh"
HOST = f"sink.{NAMESPACE}.svc"
URL = f"http://{HOST}:{sink.HTTP_PORT}"
POOL = "e2e.metricat.dev/pool"
WAYS = ("email", "slack", "pagerduty", "guarded")
SINK = Path(sink.__file__)
OFF = {"enabled": False}
OTHER = {
    "name": "other",
    "nodeSelector": {"matchLabels": {POOL: "other"}},
    "alerts": {"rules": {ALERT: {"critical": OFF}}},
}
Taken = dict[str, Any]


def secret(key: str) -> dict[str, str]:
    return {"name": "on-call", "key": key}


RECEIVERS: list[dict[str, Any]] = [
    {
        "name": "mail",
        "email": {
            "to": "on-call@example.com",
            "from": "metricat@example.com",
            "server": f"{HOST}:{sink.SMTP_PORT}",
            "username": sink.USER,
            "password": secret("password"),
            "ca": {"name": "sink", "key": "sink.crt"},
        },
    },
    {"name": "chat", "slack": {"url": secret("slack"), "channel": "#nodes"}},
    {"name": "pager", "pagerDuty": {"routingKey": secret("pagerduty"), "url": f"{URL}/pagerduty/v2/enqueue"}},
    {"name": "program", "webhook": {"url": f"{URL}/guarded", "token": secret("token")}},
    {"name": "others", "pools": ["other"], "webhook": {"urlSecret": secret("others")}},
    {"name": "asleep", "webhook": {"url": f"{URL}/asleep"}, "quietHours": [{"from": "00:00", "to": "24:00"}]},
    {"name": "heartbeat", "severities": ["info"], "repeatInterval": "1m", "webhook": {"url": f"{URL}/heartbeat"}},
]


def spec(demo: DemoCluster, **more: Any) -> None:
    """Apply the demo's target with other fields in its spec."""
    changed = yaml.safe_load(target())
    changed["spec"] |= more
    demo.kubectl.apply(yaml.safe_dump(changed))


def start_alerts(demo: DemoCluster, rules: Taken) -> None:
    """Apply a target whose alerts have these settings and notify all receivers."""
    rules = {**rules, "NodeNew": {"info": OFF}}  # the cluster's nodes may all be new
    alerts = {"labels": {"release": "demo"}, "rules": rules}
    spec(demo, pools=[OTHER], alerts=alerts, notifications={"labels": {"release": "demo"}, "receivers": RECEIVERS})


def library() -> bytes:
    """The SMTP server as one file: a zip is a folder to Python."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("aiosmtpd", "attr", "attrs", "public"):
            found = find_spec(name)
            assert found is not None
            assert found.origin is not None
            folder = Path(found.origin).parent
            for path in folder.rglob("*.py"):
                if "tests" not in path.parts:
                    archive.write(path, path.relative_to(folder.parent))
    return packed.getvalue()


def sink_manifests(image: str, certificate: Path) -> list[dict[str, Any]]:
    """The sink as a pod with a Service, and its certificate."""

    def named(kind: str, **more: Any) -> dict[str, Any]:
        labels = {"e2e.metricat.dev": "sink"}
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "sink", "labels": labels}, **more}

    ports = {"smtp": sink.SMTP_PORT, "http": sink.HTTP_PORT}
    container = {
        "name": "sink",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/sink/sink.py", "/certificate"],
        "env": [{"name": "PYTHONPATH", "value": "/sink/library.zip"}, {"name": "PYTHONUNBUFFERED", "value": "1"}],
        "readinessProbe": {"httpGet": {"port": sink.HTTP_PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "96Mi"}},
        "volumeMounts": [
            {"name": "code", "mountPath": "/sink"},
            {"name": "certificate", "mountPath": "/certificate"},
        ],
    }
    return [
        named(
            "ConfigMap",
            data={"sink.py": SINK.read_text()},
            binaryData={"library.zip": base64.b64encode(library()).decode()},
        ),
        named("Secret", stringData={name: (certificate / name).read_text() for name in ("sink.crt", "sink.key")}),
        named(
            "Service",
            spec={
                "selector": {"e2e.metricat.dev": "sink"},
                "ports": [{"name": name, "port": port} for name, port in ports.items()],
            },
        ),
        named(
            "Pod",
            spec={
                "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "runAsUser": 65534},
                "containers": [container],
                "volumes": [
                    {"name": "code", "configMap": {"name": "sink"}},
                    {"name": "certificate", "secret": {"secretName": "sink"}},
                ],
            },
        ),
    ]


@pytest.fixture(scope="module")
def sent(demo_and_nodes: tuple[Any, DemoCluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoCluster]:
    """The demo with a sink, a second pool, and a target whose Secret does not exist yet."""
    demo = demo_and_nodes[1]
    certificate = tmp_path_factory.mktemp("certificate")
    self_signed(certificate, "sink", HOST)
    manifests = sink_manifests(demo.images["agent"], certificate)
    for manifest in manifests:
        manifest["metadata"]["namespace"] = NAMESPACE
    demo.kubectl.apply(yaml.safe_dump_all(manifests))
    demo.kubectl.run("label", "node", "n2", f"{POOL}=other", "--overwrite")
    on_both = {"warning": {"threshold": 0.1, "for": "0s"}, "critical": {"threshold": 0.2, "for": "0s"}}
    try:
        until("the sink", lambda: isinstance(taken(demo), list), why=lambda: pod_problems(demo.kubectl, NAMESPACE))
        spec(demo, pools=[OTHER])
        # An alert from before the node changed its pool would keep firing for minutes.
        until("the pools", lambda: pools(demo) == {("n1", "default"), ("n2", "other")})
        start_alerts(demo, {ALERT: on_both})
        yield demo
    finally:
        demo.kubectl.apply(target())
        demo.kubectl.run("label", "node", "n2", f"{POOL}-")
        for kind in ("pod", "service", "configmap", "secret"):
            demo.kubectl.run("delete", kind, "sink", "--namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        demo.kubectl.run("delete", "secret", "on-call", "--namespace", NAMESPACE, "--ignore-not-found")
    until("the target as it was", demo.ready)
    demo.wait_scraped()
    until("no alert of memory", lambda: not demo.alertmanager.alerts(ALERT), seconds=400)


def pools(demo: DemoCluster) -> set[tuple[str, str]]:
    found = demo.prometheus.query(f'metricat:node_memory_usage:percent{{service="{SERVICE}"}}')
    return {(one.labels["node"], one.labels["pool"]) for one in found}


def taken(demo: DemoCluster) -> list[Taken]:
    found: list[Taken] = demo.kubectl.through(NAMESPACE, f"sink:{sink.HTTP_PORT}", "/")
    return found


def came(demo: DemoCluster, way: str, severity: str) -> list[Taken]:
    """Return the messages that arrived through this receiver type about the firing alert of this severity."""
    found = [one for one in taken(demo) if one["way"] == way]
    return [one for one in found if all(word in json.dumps(one) for word in (ALERT, f"({severity})", "FIRING"))]


def states(demo: DemoCluster, alert: str) -> dict[tuple[str, str], str]:
    """Return by node and severity whether Alertmanager sends the alert."""
    return {(one.labels["node"], one.labels["severity"]): one.state for one in demo.alertmanager.alerts(alert)}


def fired(demo: DemoCluster, way: str, alert: str) -> set[tuple[str, str]]:
    """Return the nodes and severities of the alert's firing messages that arrived by this way."""
    bodies = [one["body"] for one in taken(demo) if one["way"] == way]
    found = [one["labels"] for body in bodies for one in body["alerts"] if one["status"] == "firing"]
    return {(labels["node"], labels["severity"]) for labels in found if labels["alertname"] == alert}


def condition(demo: DemoCluster) -> dict[str, str]:
    found: list[dict[str, str]] = demo.target()["status"]["conditions"]
    return next((one for one in found if one["type"] == "NotificationsConfigured"), {"reason": "", "status": ""})


def receivers(demo: DemoCluster) -> set[str]:
    """Return the receivers of the running Alertmanager."""
    # The kubelet updates the file when the pod changes, and at least once a minute.
    pods = ("pods", "--namespace", NAMESPACE, "--selector=alertmanager=demo")
    demo.kubectl.run("annotate", *pods, "--overwrite", f"metricat.dev/look-again={len(taken(demo))}")
    answer = demo.kubectl.through(NAMESPACE, demo.alertmanager.service, "/api/v2/receivers")
    return {one["name"] for one in answer}


def test_missing_secret_is_reported(sent: DemoCluster) -> None:
    until("the rejection", lambda: condition(sent)["reason"] == "ConfigRejected", why=lambda: str(condition(sent)))
    assert condition(sent)["status"] == "False"
    assert 'secrets "on-call" not found' in condition(sent)["message"] or '"on-call"' in condition(sent)["message"]


def test_receivers_get_their_alerts(sent: DemoCluster) -> None:
    values = {
        "password": sink.PASSWORD,
        "slack": f"{URL}/slack",
        "pagerduty": sink.ROUTING_KEY,
        "token": sink.TOKEN,
        "others": f"{URL}/others",
    }
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "on-call", "namespace": NAMESPACE}}
    sent.kubectl.apply(yaml.safe_dump(manifest | {"stringData": values}))
    wanted = {f"{NAMESPACE}/{SERVICE}/{one['name']}" for one in RECEIVERS}
    until("Alertmanager to have the receivers", lambda: wanted <= receivers(sent), seconds=240)
    until(
        "a critical and a warning by each way",
        lambda: all(came(sent, way, severity) for way in WAYS[:3] for severity in ("critical", "warning")),
        seconds=300,
        why=lambda: json.dumps([(one["way"], one.get("why")) for one in taken(sent)]),
    )
    mail = came(sent, "email", "critical")[0]
    assert mail["tls"]
    assert (mail["user"], mail["from"], mail["to"]) == (sink.USER, "metricat@example.com", ["on-call@example.com"])
    assert mail["subject"] == f"[FIRING] {ALERT} (critical) on n1"
    assert "Memory usage on n1 (pool default) is" in mail["text"]
    assert "Top processes:" in mail["text"]
    assert all(" Since 20" in mail[form] for form in ("text", "html"))

    [chat] = came(sent, "slack", "critical")[0]["body"]["attachments"]
    assert chat["title"] == f"[FIRING] {ALERT} (critical) on n1"
    assert "Memory usage on n1 is high. Memory usage on n1 (pool default) is" in chat["text"]
    assert " Since 20" in chat["text"]
    assert came(sent, "slack", "critical")[0]["body"]["channel"] == "#nodes"

    page = came(sent, "pagerduty", "critical")[0]["body"]
    assert (page["event_action"], page["payload"]["severity"]) == ("trigger", "critical")
    assert "Memory usage on n1 (pool default) is" in page["payload"]["custom_details"]["alerts"]
    assert " Since 20" in page["payload"]["custom_details"]["alerts"]

    assert not [one for one in taken(sent) if one["way"].startswith("refused")]


def test_critical_inhibits_only_its_own_warning(sent: DemoCluster) -> None:
    """On n1, both levels fire. On n2, which is in another pool, only the warning fires."""
    expected = {("n1", "critical"): "active", ("n1", "warning"): "suppressed", ("n2", "warning"): "active"}
    until("the three", lambda: states(sent, ALERT) == expected, seconds=300, why=lambda: str(states(sent, ALERT)))
    both = {("n1", "critical"), ("n2", "warning")}
    until("a message to the program", lambda: fired(sent, "guarded", ALERT) == both)
    until("a message about the other pool", lambda: fired(sent, "others", ALERT) == {("n2", "warning")})
    assert fired(sent, "asleep", ALERT) == set(), "no messages in quiet hours"


def test_heartbeat_arrives_without_a_node(sent: DemoCluster) -> None:
    def watchdogs() -> list[Taken]:
        return [one for one in taken(sent) if one["way"] == "heartbeat" and "MetricatWatchdog" in json.dumps(one)]

    before = len(until("the heartbeat", watchdogs))
    begun = time.monotonic()
    until("the next two", lambda: len(watchdogs()) >= before + 2, seconds=150)
    assert time.monotonic() - begun > 60, "once a minute"


def test_alertmanagers_namespace_matcher_accepts_our_alerts(sent: DemoCluster) -> None:
    """Alertmanager has the default strategy OnNamespace, so the messages above passed its matcher."""
    answer = sent.kubectl.through(NAMESPACE, sent.alertmanager.service, "/api/v2/status")
    configuration = yaml.safe_load(answer["config"]["original"])
    [route] = [one for one in configuration["route"]["routes"] if one["receiver"].endswith(f"{SERVICE}/Blackhole")]
    assert f'namespace="{NAMESPACE}"' in route["matchers"]
    for rule in configuration["inhibit_rules"]:
        assert all(f'namespace="{NAMESPACE}"' in rule[side] for side in ("source_matchers", "target_matchers"))
    alerts: list[ActiveAlert] = sent.alertmanager.alerts()
    ours = [one for one in alerts if one.labels.get("service") == SERVICE]
    assert ours
    assert {one.labels["namespace"] for one in ours} == {NAMESPACE}


def test_cordoned_node_sends_no_messages(sent: DemoCluster) -> None:
    """The same alert begins on both nodes at the same time.

    An alert from before the node was cordoned continues, inhibited.
    """
    another, n1, n2 = "NodeFileDescriptorsHigh", ("n1", "warning"), ("n2", "warning")
    sent.kubectl.run("cordon", "n2")
    try:
        cordoned = {("n2", "info"): "active"}
        until(
            "NodeCordoned",
            lambda: states(sent, "NodeCordoned") == cordoned,
            why=lambda: str(states(sent, ALERT)),
        )
        assert states(sent, ALERT)[n2] == "suppressed"
        assert "Cordoned" in sent.alertmanager.alerts("NodeCordoned")[0].annotations["description"]
        start_alerts(sent, {another: {"warning": {"threshold": 0, "for": "0s"}, "critical": OFF}})
        until("a message about n1", lambda: n1 in fired(sent, "guarded", another), seconds=300)
        assert states(sent, another) == {n1: "active", n2: "suppressed"}
        assert fired(sent, "guarded", another) == {n1}
    finally:
        sent.kubectl.run("uncordon", "n2")
    until("n2 to be back", lambda: states(sent, another) == {n1: "active", n2: "active"}, seconds=480)
