"""Tokens of Kubernetes on a real API server, with the rights that the chart gives to the hub."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest

from metricat_hub.access.authenticators import Access, AuthenticationError, PermissionDeniedError
from metricat_hub.access.credentials import Credentials
from metricat_hub.access.kubernetes.api_server import ApiServer
from metricat_hub.access.kubernetes.reviews import Reviews
from metricat_hub.access.kubernetes.target_alerts import MissingRightError, TargetAlertClient
from metricat_hub.access.kubernetes.tokens import KubernetesTokens
from metricat_hub.api.application import application
from metricat_hub.api.services import Services
from metricat_hub.model.alert_rules import RuleConflictError, RuleNotFoundError, StaleRuleError
from metricat_hub.model.errors import AccessUnavailableError, InvalidParameterError
from metricat_tools.binaries import ensure
from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.api import ClusterApiError
from support.chart import render
from support.harness import Cluster, Manifest, eventually
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.access.principal import Principal

NAMESPACE, HUB = "monitoring", "metricat-hub"
ACCESS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(f"hub-{os.getpid()}") as started:
        yield started


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Cluster:
    """The API server with a target in the namespaces `team-a` and `team-b`, and with the chart's objects of the hub."""
    cluster = Cluster(control_plane.kubeconfig, ensure("kubectl")["kubectl"], control_plane.api)
    cluster.do("apply", "--server-side", "-f", str(ROOT / "crds"))
    for name in (NAMESPACE, "team-a", "team-b", "team-c"):
        cluster.do("create", "namespace", name)
    for one in render("hub.enabled=true", "hub.prometheus.url=http://prometheus:9090", "hub.web.insecure=true"):
        if one["kind"] in ACCESS and one["metadata"]["name"].startswith(HUB):
            cluster.do("apply", "--server-side", "-f", "-", stdin=json.dumps(one))
    for namespace in ("team-a", "team-b"):
        metadata = {"name": "nodes", "namespace": namespace}
        manifest = {"apiVersion": "metricat.dev/v1alpha1", "kind": "MonitoringTarget", "metadata": metadata, "spec": {}}
        eventually(functools.partial(apply, cluster, manifest))
    return cluster


def token(cluster: Cluster, name: str, namespace: str = "team-c") -> str:
    """Return the token of a ServiceAccount, which is created if it does not exist."""
    cluster.run("create", "serviceaccount", name, f"--namespace={namespace}")
    found: str = cluster.do("create", "token", name, f"--namespace={namespace}").strip()
    return found


def bind(cluster: Cluster, name: str, *scope: str, role: str = f"{HUB}-viewer") -> None:
    kind = "rolebinding" if scope else "clusterrolebinding"
    cluster.do("create", kind, f"{name}-view", f"--clusterrole={role}", f"--serviceaccount=team-c:{name}", *scope)


@pytest.fixture
def reviews(control_plane: ControlPlane, cluster: Cluster, tmp_path: Path) -> Reviews:
    """The hub's client, with the token of the chart's ServiceAccount."""
    return Reviews(api_server(control_plane, tmp_path, token(cluster, HUB, NAMESPACE)))


def api_server(control_plane: ControlPlane, folder: Path, text: str) -> ApiServer:
    (folder / "token").write_text(text)
    (folder / "ca.crt").write_bytes(control_plane.ca.read_bytes())
    return ApiServer(control_plane.endpoint.address, control_plane.endpoint.port, folder)


def client(reviews: Reviews, text: str) -> Principal:
    found = asyncio.run(KubernetesTokens(reviews).authenticate(Credentials(f"Bearer {text}")))
    assert found is not None
    return found


def is_rejected(reviews: Reviews, text: str) -> bool:
    try:
        client(reviews, text)
    except AuthenticationError:
        return True
    return False


def apply(cluster: Cluster, manifest: Manifest) -> bool:
    """Apply an object; the API server may not serve its kind yet."""
    try:
        cluster.apply(manifest)
    except ClusterApiError:
        return False
    return True


def test_users_see_the_namespaces_whose_targets_they_may_get(cluster: Cluster, reviews: Reviews) -> None:
    everything, one, none = (token(cluster, name) for name in ("everything", "one", "none"))
    bind(cluster, "everything")
    bind(cluster, "one", "--namespace=team-b")
    eventually(lambda: client(reviews, everything).namespaces is None)
    found = client(reviews, one)
    assert (found.name, found.namespaces) == ("system:serviceaccount:team-c:one", frozenset({"team-b"}))
    with pytest.raises(PermissionDeniedError, match="system:serviceaccount:team-c:none may not get monitoringtargets"):
        client(reviews, none)


def test_right_in_a_namespace_without_a_target_shows_nothing(cluster: Cluster, reviews: Reviews) -> None:
    text = token(cluster, "elsewhere")
    bind(cluster, "elsewhere", "--namespace=team-c")
    with pytest.raises(PermissionDeniedError):
        client(reviews, text)


def test_scraper_may_read_metrics_and_no_series(cluster: Cluster, reviews: Reviews) -> None:
    text = token(cluster, "scraper")
    cluster.do("create", "clusterrole", "scrape", "--verb=get", "--non-resource-url=/metrics")
    bind(cluster, "scraper", role="scrape")
    eventually(lambda: client(reviews, text).namespaces == frozenset())


@pytest.mark.parametrize("wrong", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_invalid_tokens_are_rejected(reviews: Reviews, wrong: str) -> None:
    with pytest.raises(AuthenticationError, match="nor a valid token of this cluster"):
        client(reviews, wrong)


def test_token_for_another_audience_is_rejected(cluster: Cluster, reviews: Reviews) -> None:
    cluster.run("create", "serviceaccount", "vault", "--namespace=team-c")
    text = cluster.do("create", "token", "vault", "--namespace=team-c", "--audience=vault").strip()
    with pytest.raises(AuthenticationError):
        client(reviews, text)


def test_token_of_a_deleted_service_account_is_rejected(cluster: Cluster, reviews: Reviews) -> None:
    text = token(cluster, "deleted")
    bind(cluster, "deleted")
    eventually(lambda: client(reviews, text).namespaces is None)
    cluster.do("delete", "serviceaccount", "deleted", "--namespace=team-c")
    eventually(lambda: is_rejected(reviews, text))  # the API server itself caches a valid token for 10 s


def test_hub_without_its_role_gives_no_access(control_plane: ControlPlane, cluster: Cluster, tmp_path: Path) -> None:
    weak = Reviews(api_server(control_plane, tmp_path, token(cluster, "weak")))
    with pytest.raises(AccessUnavailableError, match="Bind the chart's ClusterRole of the hub to this ServiceAccount"):
        client(weak, token(cluster, "weak"))


def test_unreachable_api_server_gives_no_access(control_plane: ControlPlane, tmp_path: Path) -> None:
    api_server(control_plane, tmp_path, "x")
    with pytest.raises(AccessUnavailableError, match=r"Check the network, and the files token and ca\.crt"):
        client(Reviews(ApiServer("127.0.0.1", 1, tmp_path)), "x")
    (tmp_path / "ca.crt").write_text("")
    with pytest.raises(AccessUnavailableError):
        client(Reviews(ApiServer(control_plane.endpoint.address, control_plane.endpoint.port, tmp_path)), "x")


def test_hub_may_do_nothing_beyond_reviews_and_reading_targets(cluster: Cluster) -> None:
    user = f"--as=system:serviceaccount:{NAMESPACE}:{HUB}"
    for allowed in ("create tokenreviews.authentication.k8s.io", "create subjectaccessreviews.authorization.k8s.io"):
        assert cluster.run("auth", "can-i", *allowed.split(), user).stdout.strip() == "yes"
    assert cluster.run("auth", "can-i", "list", "monitoringtargets", "--all-namespaces", user).stdout.strip() == "yes"
    for denied in ("get secrets", "list pods", "list namespaces", "get configmaps", "patch monitoringtargets"):
        assert cluster.run("auth", "can-i", *denied.split(), "--all-namespaces", user).stdout.strip() == "no"


@pytest.fixture
def targets(control_plane: ControlPlane, tmp_path: Path) -> TargetAlertClient:
    """The client of users. The hub's own token is invalid here: no request may use it."""
    folder = tmp_path / "users"
    folder.mkdir()
    return TargetAlertClient(api_server(control_plane, folder, "not-a-token"))


def editor(cluster: Cluster, name: str, *verbs: str) -> str:
    """Return the token of a user who may do this with MonitoringTargets in the namespace `team-a`."""
    found = token(cluster, name)
    allowed = [f"--verb={verb}" for verb in verbs]
    cluster.do("create", "role", name, *allowed, "--resource=monitoringtargets.metricat.dev", "--namespace=team-a")
    cluster.do("create", "rolebinding", name, f"--role={name}", f"--serviceaccount=team-c:{name}", "--namespace=team-a")
    eventually(
        lambda: (
            cluster.run(
                *("auth", "can-i", verbs[-1], "monitoringtargets", "--namespace=team-a"),
                f"--as=system:serviceaccount:team-c:{name}",
            ).stdout.strip()
            == "yes"
        )
    )
    return found


CPU, MEMORY = "NodeCPUUsageHigh", "NodeMemoryUsageHigh"


def test_change_of_a_threshold_has_the_rights_of_its_user(cluster: Cluster, targets: TargetAlertClient) -> None:
    text = editor(cluster, "editor", "get", "patch")
    before = targets.get(text, "team-a", "nodes")
    tried = targets.apply(
        text, "team-a", "nodes", CPU, {"warning": {"threshold": 70}}, {}, before.generation, dry_run=True
    )
    assert tried.rules[CPU]["warning"]["threshold"] == 70
    assert targets.get(text, "team-a", "nodes") == before
    targets.apply(text, "team-a", "nodes", CPU, {"warning": {"threshold": 71, "for": "9m"}}, {}, before.generation)
    after = targets.apply(text, "team-a", "nodes", MEMORY, {"critical": {"enabled": False}}, {}, None)
    assert after.rules == {CPU: {"warning": {"threshold": 71, "for": "9m"}}, MEMORY: {"critical": {"enabled": False}}}
    with pytest.raises(StaleRuleError, match=f"the request expects {before.generation}"):
        targets.apply(text, "team-a", "nodes", CPU, {"warning": {"threshold": 72}}, {}, before.generation)
    reset = targets.apply(text, "team-a", "nodes", CPU, {}, {}, after.generation)
    assert CPU not in reset.rules or reset.rules[CPU] == {}
    assert reset.rules[MEMORY] == {"critical": {"enabled": False}}
    with pytest.raises(InvalidParameterError, match=r"the API server rejects the change: .*101"):
        targets.apply(text, "team-a", "nodes", CPU, {"warning": {"threshold": 101}}, {}, None)


def test_user_without_a_right_gets_its_name(cluster: Cluster, targets: TargetAlertClient) -> None:
    reader, stranger = editor(cluster, "reader", "get"), token(cluster, "norights")
    for text, verb in ((reader, "patch"), (stranger, "get")):
        with pytest.raises(MissingRightError, match=f"lacks the right to {verb} monitoringtargets") as raised:
            targets.apply(text, "team-a", "nodes", CPU, {"warning": {"threshold": 60}}, {}, None)
        assert raised.value.right == {
            "verb": verb,
            "resource": "monitoringtargets.metricat.dev",
            "namespace": "team-a",
        }


def test_field_of_a_gitops_manager_is_refused_with_its_owner(cluster: Cluster, targets: TargetAlertClient) -> None:
    text = editor(cluster, "gitops-editor", "get", "patch")
    metadata = {"name": "nodes", "namespace": "team-a"}
    spec = {"alerts": {"rules": {"NodeLoadHigh": {"warning": {"threshold": 3}}}}}
    manifest = {"apiVersion": "metricat.dev/v1alpha1", "kind": "MonitoringTarget", "metadata": metadata, "spec": spec}
    cluster.do("apply", "--server-side", "--field-manager=argocd-controller", "-f", "-", stdin=json.dumps(manifest))
    owner = r"argocd-controller owns spec\.alerts\.rules\.NodeLoadHigh\.warning\.threshold"
    with pytest.raises(RuleConflictError, match=owner):
        targets.apply(text, "team-a", "nodes", "NodeLoadHigh", {"warning": {"threshold": 5}}, {}, None)
    after = targets.apply(text, "team-a", "nodes", "NodeLoadHigh", {"warning": {"for": "20m"}}, {}, None)
    assert after.rules["NodeLoadHigh"] == {"warning": {"threshold": 3, "for": "20m"}}


def test_change_creates_no_target(cluster: Cluster, targets: TargetAlertClient) -> None:
    text = editor(cluster, "creator", "get", "create", "patch")
    with pytest.raises(RuleNotFoundError, match="MonitoringTarget team-a/none does not exist"):
        targets.apply(text, "team-a", "none", CPU, {"warning": {"threshold": 5}}, {}, None)
    assert cluster.get("monitoringtarget", "none", "team-a") is None


def http(  # noqa: PLR0917 -- the parts of a request
    services: Services, method: str, path: str, text: str, body: object = None, version: str = "*"
) -> Any:
    """Send a request to the hub's application; return the response."""

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(cast("Any", application(services)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub") as client:
            headers = {"Authorization": f"Bearer {text}", "If-Match": version}
            return await client.request(method, path, headers=headers, json=body)

    return asyncio.run(send())


def test_threshold_is_changed_by_http(cluster: Cluster, reviews: Reviews, targets: TargetAlertClient) -> None:
    text, reader = editor(cluster, "http-editor", "get", "patch"), editor(cluster, "http-reader", "get")
    services = Services(store=cast("Any", None), access=Access([KubernetesTokens(reviews)], targets), now=lambda: 0)
    path = "/api/v1/monitoring-targets/team-a/nodes/alerts"
    body = {"levels": {"warning": {"threshold": 33.0}}, "labels": {"team": "a"}}
    read = http(services, "GET", path, text)
    assert read.status_code == 200
    changed = http(services, "PUT", f"{path}/NodeSwapUsageHigh", text, body, read.headers["etag"])
    assert changed.json()["rules"]["NodeSwapUsageHigh"] == {
        "warning": {"threshold": 33, "enabled": True},
        "labels": {"team": "a"},
    }
    assert http(services, "PUT", f"{path}/NodeSwapUsageHigh", text, body, read.headers["etag"]).status_code == 412
    assert http(services, "PUT", f"{path}/NodeSwapUsageHigh", text, body, "").status_code == 428
    assert http(services, "PUT", f"{path}/NodeNone", text, body).status_code == 404
    refused = http(services, "DELETE", f"{path}/NodeSwapUsageHigh", reader)
    assert (refused.status_code, refused.json()["right"]["verb"]) == (403, "patch")
    assert http(services, "DELETE", f"{path}/NodeSwapUsageHigh", text).status_code == 200
