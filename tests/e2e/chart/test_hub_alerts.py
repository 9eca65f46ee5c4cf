"""The hub as the demo runs it: thresholds that reach Prometheus, alerts and silences of Alertmanager, and the page."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from metricat_tools.demo import page
from metricat_tools.demo.demo_cluster import TARGET
from metricat_tools.images import ensure_images
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.install import reload_now
from metricat_tools.stack.kubectl import KubectlError
from metricat_tools.stack.metricat import CHART, RELEASE
from metricat_tools.stack.wait import until
from support.browser import Errors, new_context, running_browser
from support.hub_process import Response, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_tools.cluster import NodeCluster
    from metricat_tools.demo.demo_cluster import DemoCluster

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

READER = "hub-reader"
FREE = "NodeMemoryUsageHigh"
"""An alert that the demo's MonitoringTarget does not set, so no other field manager owns its settings."""
OWNED = "NodeCPUUsageHigh"
TEST_ALERT = "HubTestAlert"
SECONDS = 300


@dataclass
class Hub:
    """The hub behind a port of this machine, with tokens of an editor and of a user who may only read."""

    demo: DemoCluster
    url: str
    editor: str
    reader: str

    def send(self, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> Response:
        given = {"Authorization": f"Bearer {token or self.editor}", "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        return send(f"{self.url}{path}", data, given, method=method)

    def get(self, path: str, token: str = "") -> Any:
        response = self.send("GET", path, token=token)
        assert response.status == 200, response.body
        return response.json


@pytest.fixture(scope="module")
def hub(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> Iterator[Hub]:
    cluster, plain = demo_and_nodes
    image = ensure_images("hub")["hub"]
    cluster.load_image(image.archive)
    demo = replace(plain, images={**plain.images, "hub": image.exact})
    demo.install_metricat()
    try:
        page.wait_ready(demo)
        demo.kubectl.run("create", "serviceaccount", READER, "--namespace", NAMESPACE)
        role = (f"--clusterrole={page.SERVICE}-viewer", f"--serviceaccount={NAMESPACE}:{READER}")
        demo.kubectl.run("create", "clusterrolebinding", READER, *role)
        reader = demo.kubectl.run("create", "token", READER, "--namespace", NAMESPACE).strip()
        found = Hub(demo, page.forward(cluster, demo), page.token(demo), reader)
        until("the rights of both users", lambda: _has_rights(found), seconds=SECONDS)
        yield found
    finally:
        values = ("--reuse-values", "--set=hub.enabled=false")
        demo.kubectl.helm("upgrade", RELEASE, str(CHART), "--namespace", NAMESPACE, *values)
        for kind, name in (
            ("prometheusrule", "hub-test-alert"),
            ("serviceaccount", READER),
            ("serviceaccount", page.USER),
            ("clusterrolebinding", READER),
            ("clusterrolebinding", page.USER),
            ("rolebinding", page.USER),
            ("rolebinding", READER),
        ):
            with suppress(KubectlError):
                demo.kubectl.run("delete", kind, name, "--namespace", NAMESPACE, "--ignore-not-found")


def _has_rights(hub: Hub) -> bool:
    editor, reader = (hub.send("GET", "/api/v1/me", token=token) for token in (hub.editor, hub.reader))
    return editor.status == reader.status == 200 and "edit" in editor.json["scopes"]


def alerts_path(alert: str = "") -> str:
    path = f"/api/v1/monitoring-targets/{NAMESPACE}/{TARGET}/alerts"
    return f"{path}/{alert}" if alert else path


def change(hub: Hub, alert: str, threshold: float, token: str = "") -> Response:
    """Change a threshold, as the page does."""
    generation = hub.get(alerts_path())["generation"]
    body = {"levels": {"warning": {"threshold": threshold}}}
    return hub.send("PUT", alerts_path(alert), body, token, **{"If-Match": f'"{generation}"'})


def expressions(hub: Hub, alert: str) -> dict[str, str]:
    """Return the expressions that Prometheus has loaded, by severity."""
    states = hub.get(f"/api/v1/monitoring-targets/{NAMESPACE}/{TARGET}/alert-states")["data"]
    found: dict[str, str] = next(one["expressions"] for one in states if one["name"] == alert)
    return found


def test_changed_threshold_reaches_prometheus(hub: Hub) -> None:
    assert "87.5" not in expressions(hub, FREE)["warning"]
    done = change(hub, FREE, 87.5)
    assert done.status == 200, done.body

    def is_loaded() -> bool:
        reload_now(hub.demo.kubectl)
        return "87.5" in expressions(hub, FREE)["warning"]

    until("the threshold in Prometheus", is_loaded, seconds=SECONDS)
    generation = hub.get(alerts_path())["generation"]
    assert hub.send("DELETE", alerts_path(FREE), **{"If-Match": f'"{generation}"'}).status == 200
    assert FREE not in hub.get(alerts_path())["rules"]


def test_editor_without_the_rights_of_an_author_gets_the_name_of_the_right(hub: Hub) -> None:
    role = (f"--clusterrole={page.SERVICE}-editor", f"--serviceaccount={NAMESPACE}:{READER}")
    hub.demo.kubectl.run("create", "rolebinding", READER, "--namespace", NAMESPACE, *role)
    try:
        right = {"verb": "create", "resource": "daemonsets.apps", "namespace": NAMESPACE}
        until("the policy", lambda: change(hub, FREE, 70, hub.reader).json.get("right") == right, seconds=SECONDS)
        assert "kubectl create rolebinding metricat-author" in change(hub, FREE, 70, hub.reader).json["detail"]
    finally:
        hub.demo.kubectl.run("delete", "rolebinding", READER, "--namespace", NAMESPACE)
    patch = {"verb": "patch", "resource": "monitoringtargets.metricat.dev", "namespace": NAMESPACE}
    until("the end of the right", lambda: change(hub, FREE, 70, hub.reader).json.get("right") == patch, seconds=SECONDS)


def test_user_without_the_right_gets_its_name(hub: Hub) -> None:
    denied = change(hub, FREE, 70, hub.reader)
    assert denied.status == 403
    right = {"verb": "patch", "resource": "monitoringtargets.metricat.dev", "namespace": NAMESPACE}
    assert denied.json["right"] == right
    assert (
        f"the user lacks the right to patch monitoringtargets.metricat.dev in the namespace {NAMESPACE}"
        in (denied.json["detail"])
    )
    silence = {"matchers": ['alertname="X"'], "duration": "1h", "comment": "a test"}
    denied = hub.send("POST", "/api/v1/silences", silence, hub.reader)
    assert denied.status == 403
    assert "may not patch monitoringtargets.metricat.dev in all namespaces" in denied.json["detail"]


def test_field_of_another_manager_is_refused_with_its_name(hub: Hub) -> None:
    denied = change(hub, OWNED, 70)
    assert denied.status == 409
    assert (
        "the field manager metricat-tools owns spec.alerts.rules.NodeCPUUsageHigh.warning.threshold"
        in denied.json["detail"]
    )


def test_coverage_has_the_conditions_of_the_operator(hub: Hub) -> None:
    [found] = [one for one in hub.get("/api/v1/monitoring-targets", hub.reader)["data"] if one["name"] == TARGET]
    conditions = hub.demo.target()["status"]["conditions"]
    expected = [(one["type"], one["status"], one["reason"], one["message"]) for one in conditions]
    assert [tuple(one[key] for key in ("type", "status", "reason", "message")) for one in found["conditions"]] == (
        expected
    )
    assert found["nodes"]["desired"] == len(hub.demo.nodes())


def test_alert_is_listed_silenced_and_recorded(hub: Hub) -> None:
    rule = {
        "alert": TEST_ALERT,
        "expr": "vector(1)",
        "labels": {"namespace": NAMESPACE, "severity": "warning"},
        "annotations": {"summary": "a test"},
    }
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "hub-test-alert", "namespace": NAMESPACE, "labels": {"release": "demo"}},
        "spec": {"groups": [{"name": "hub-test-alert", "rules": [rule]}]},
    }
    hub.demo.kubectl.apply(json.dumps(manifest))

    def entry() -> Any:
        found = hub.get("/api/v1/alerts/active?state=firing")["data"]
        return next((one for one in found if one["name"] == TEST_ALERT and one["receivers"]), None)

    def recorded() -> Any:
        found = hub.get(f"/api/v1/alerts/history?alert={TEST_ALERT}")["data"]
        return found[0] if found else None

    def fired() -> Any:
        reload_now(hub.demo.kubectl)
        return entry()

    alert = until("the alert in Alertmanager", fired, seconds=SECONDS)
    assert alert["annotations"] == {"summary": "a test"}
    episode = until("the alert in the history", recorded, seconds=SECONDS)
    assert (episode["fingerprint"], episode["state"]) == (alert["fingerprint"], "firing")

    silence = {"matchers": [f'alertname="{TEST_ALERT}"'], "duration": "1h", "comment": "a test"}
    created = hub.send("POST", "/api/v1/silences", silence)
    assert created.status == 201, created.body
    until("the silence", lambda: entry()["silenced_by"] == [created.json["id"]], seconds=SECONDS)
    [suppressed] = hub.demo.alertmanager.alerts(TEST_ALERT)
    assert suppressed.state == "suppressed"
    assert created.json["author"] == f"system:serviceaccount:{NAMESPACE}:{page.USER}"
    assert hub.send("DELETE", f"/api/v1/silences/{created.json['id']}").status == 200
    until("its end", lambda: entry()["silenced_by"] == [], seconds=SECONDS)

    refused = hub.send("POST", f"/api/v1/alerts/{alert['fingerprint']}/acknowledge", {"comment": "a test"})
    assert refused.status == 409
    assert "has neither acknowledgements nor maintenance windows" in refused.json["detail"]

    hub.demo.kubectl.run("delete", "prometheusrule", "hub-test-alert", "--namespace", NAMESPACE)

    def resolved() -> bool:
        reload_now(hub.demo.kubectl)
        return bool(recorded()["state"] == "resolved")

    until("the end of the alert in the history", resolved, seconds=3 * SECONDS)


def test_page_signs_in_with_a_token_and_names_a_missing_right(hub: Hub) -> None:
    with running_browser() as browser:
        context = new_context(browser, hub.url)
        found = context.new_page()
        errors = Errors(found)
        found.goto(f"{hub.url}/coverage#key={hub.reader}")
        target = found.get_by_role("region", name=f"{NAMESPACE}/{TARGET}")
        target.get_by_text("Monitored", exact=True).first.wait_for(timeout=SECONDS * 1000)
        found.goto(f"{hub.url}/rules/{NAMESPACE}/{TARGET}/{FREE}")
        found.get_by_label("Warning: Threshold (%)").fill("77")
        assert errors.found == []
        found.get_by_role("button", name="Save").click()
        found.get_by_text("lacks the right to patch monitoringtargets.metricat.dev").wait_for(timeout=SECONDS * 1000)
        context.close()
