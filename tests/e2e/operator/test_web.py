"""Agents with TLS, client certificates and a password: the real Prometheus can scrape them, other clients cannot."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster
from metricat_tools.stack.apis import NAMESPACE, ScrapeTarget
from metricat_tools.stack.install import reload_now
from metricat_tools.stack.wait import until
from support.certificates import self_signed

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WEB = {
    "tlsSecretName": "agents-tls",
    "clientCASecretName": "scrape-ca",
    "prometheusClientSecretName": "prometheus-tls",
    "basicAuthSecretName": "scrape-login",
}
REQUESTS_SCRIPT = """
import base64, http.client, json, os, ssl, sys

def file_of(pem):
    place = os.memfd_create("pem")
    os.write(place, pem.encode())
    return f"/proc/self/fd/{place}"

def status(address, path="/metrics", certificate="", key="", login="", ca=""):
    context = ssl.create_default_context(cadata=ca)
    context.check_hostname = False
    if certificate:
        context.load_cert_chain(file_of(certificate), file_of(key))
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    try:
        client = http.client.HTTPSConnection(address, 9100, timeout=10, context=context)
        client.request("GET", path, headers=headers)
        return client.getresponse().status
    except OSError as error:
        return str(error)

print(json.dumps([status(**one) for one in json.load(sys.stdin)]))
"""
"""A script for an agent's pod, which has Python and the pod network: it sends requests and prints their results."""


def pods(demo: DemoCluster) -> list[dict[str, Any]]:
    return demo.kubectl.items("pods", "--namespace", NAMESPACE, "--selector=metricat.dev/target=nodes")


def set_web(demo: DemoCluster, web: dict[str, str] | None) -> None:
    patch = json.dumps({"spec": {"agent": {"web": web}}})
    demo.kubectl.run("patch", "mtarget", "nodes", "--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")


def all_up(demo: DemoCluster, scheme: str) -> list[ScrapeTarget] | None:
    """Return the agents' scrape targets if each is up over this scheme."""
    reload_now(demo.kubectl)
    found = demo.scrape_targets()
    right = [one for one in found if one.health == "up" and one.url.startswith(f"{scheme}://")]
    return found if len(right) == len(found) == len(demo.nodes()) else None


def why(demo: DemoCluster) -> str:
    return "; ".join(f"{one.url}: {one.health} {one.error}" for one in demo.scrape_targets())


@pytest.fixture(scope="module")
def guarded(demo_and_nodes: tuple[Any, DemoCluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo's target with all of `spec.agent.web`; the folder holds certificates and keys."""
    _, demo = demo_and_nodes
    folder = tmp_path_factory.mktemp("pki")
    self_signed(folder, "agents", f"{SERVICE}.{NAMESPACE}.svc")
    self_signed(folder, "prometheus")
    self_signed(folder, "stranger")
    text = {file.name: file.read_text() for file in folder.iterdir()}
    contents = {
        "agents-tls": {"tls.crt": text["agents.crt"], "tls.key": text["agents.key"], "ca.crt": text["agents.crt"]},
        "scrape-ca": {"ca.crt": text["prometheus.crt"]},
        "prometheus-tls": {"tls.crt": text["prometheus.crt"], "tls.key": text["prometheus.key"]},
        "scrape-login": {"username": "prometheus", "password": "wünsch dir was"},
    }
    for name, data in contents.items():
        metadata = {"name": name, "namespace": NAMESPACE}
        demo.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}))
    set_web(demo, WEB)
    try:
        yield folder
    finally:
        set_web(demo, None)
        until("both to be scraped without TLS again", lambda: all_up(demo, "http"), why=lambda: why(demo))
        demo.kubectl.run("delete", "secret", *contents, "--namespace", NAMESPACE)


@pytest.mark.usefixtures("guarded")
def test_prometheus_scrapes_with_its_certificate_and_password(demo: DemoCluster) -> None:
    until("both to be scraped over TLS", lambda: all_up(demo, "https"), seconds=240, why=lambda: why(demo))
    up = demo.prometheus.query(f'up{{service="{SERVICE}"}} == 1')
    assert {sample.node for sample in up} == set(demo.nodes())


@pytest.mark.usefixtures("guarded")
def test_probes_succeed_without_certificate_and_password(demo: DemoCluster) -> None:
    until("the agents to be ready", demo.ready)
    time.sleep(45)  # two liveness probes, and enough readiness probes to make a pod unready
    assert demo.ready()
    for pod in pods(demo):
        [container] = pod["status"]["containerStatuses"]
        probes = [pod["spec"]["containers"][0][name]["httpGet"] for name in ("readinessProbe", "livenessProbe")]
        assert [probe["scheme"] for probe in probes] == ["HTTPS", "HTTPS"]
        assert (container["ready"], container["restartCount"]) == (True, 0)


def test_requests_without_credentials_are_rejected(demo: DemoCluster, guarded: Path) -> None:
    until("the agents to be ready", demo.ready)
    text = {file.name: file.read_text() for file in guarded.iterdir()}
    first, second = pods(demo)
    base = {"address": second["status"]["podIP"], "ca": text["agents.crt"]}
    ours = {"certificate": text["prometheus.crt"], "key": text["prometheus.key"]}
    theirs = {"certificate": text["stranger.crt"], "key": text["stranger.key"]}
    login = {"login": "prometheus:wünsch dir was"}
    requests = [
        base | ours | login,
        base | ours,
        base | ours | {"login": "prometheus:guess"},
        base | login,
        base | theirs | login,
        base | {"path": "/-/ready"},
    ]
    name = first["metadata"]["name"]
    command = ("exec", "--stdin", "--namespace", NAMESPACE, name, "--", "python3", "-c", REQUESTS_SCRIPT)
    [right, no_password, wrong_password, no_certificate, stranger, probe] = json.loads(
        demo.kubectl.run(*command, stdin=json.dumps(requests))
    )
    assert (right, no_password, wrong_password, no_certificate, probe) == (200, 401, 401, 403, 200)
    assert "alert" in stranger.lower() or "EOF" in stranger


@pytest.mark.usefixtures("guarded")
def test_missing_secret_is_reported(demo: DemoCluster) -> None:
    set_web(demo, {**WEB, "basicAuthSecretName": "forgotten"})
    until("the missing Secret to be reported", lambda: "forgotten" in json.dumps(demo.target()["status"]), seconds=90)
    set_web(demo, WEB)
    until("both to be scraped over TLS", lambda: all_up(demo, "https"), seconds=240, why=lambda: why(demo))
