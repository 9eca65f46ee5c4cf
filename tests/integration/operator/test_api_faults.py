"""Faulty answers of the API server, or of a proxy before it: the operator never exits, reports them, and recovers.

`make test` injects one fault of each kind into all requests of a running operator, and some into those at its start.
`make test-slow` injects every fault, and each into one kind of request at a time. The times to converge are in
docs/design/0021-api-faults.md.
"""

import asyncio
import json
import shutil
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.kubeconfig import write
from support import fault_proxy
from support.fault_proxy import FAULTS, Fault, FaultProxy, Match
from support.harness import CHILD, Cluster, RunningOperator, eventually, target, wait_ready
from support.memory_group import peak_mib
from support.paths import ROOT

CONVERGED_SECONDS = 60.0
"""Generous: a busy machine must not fail the test. The goal is 15 s, in 99 of 100 cases."""
START_SECONDS = 60.0
LARGE_SECONDS = 8.0
"""Time in which a kind of request is repeated, after delays of at most 6 s."""
MEMORY_LIMIT_MIB = 512
"""The memory limit of the operator in the chart."""
POD = "metricat-faults"


@dataclass
class Proxied:
    """An operator whose requests pass through the proxy, with one target."""

    cluster: Cluster
    proxy: FaultProxy
    operator: RunningOperator
    kubeconfig: Path
    token: str
    namespace: str = ""
    measured: dict[str, float] = field(default_factory=dict)

    def renew_token(self, control_plane: ControlPlane) -> None:
        """Create a new token for the same ServiceAccount and pod. The next `write_kubeconfig` writes it."""
        old = self.token
        while self.token == old:
            made = control_plane.service_account_kubeconfig("monitoring", "metricat", pod=POD)
            self.token = _token(made)
            time.sleep(1)  # tokens of one second are equal

    def write_kubeconfig(self) -> None:
        """Write the credentials of the operator: its token, and the proxy's URL and authority."""
        write(self.kubeconfig, self.proxy.url, self.proxy.ca, self.token)

    def probe(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.operator.environment['METRICAT_HEALTH_PORT']}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return int(response.status), response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:  # it does not listen yet
            return 0, str(error)

    def runs(self) -> bool:
        return self.operator.process is not None and self.operator.process.poll() is None

    def disturb(self) -> Callable[[], bool]:
        """Change the target and delete a child; return whether the operator has handled both."""
        interval = f"{20 + time.monotonic_ns() % 1000}s"
        before = self.cluster.get("daemonset", CHILD, self.namespace)
        wanted = target(self.namespace, {"monitor": {"interval": interval}})
        self.cluster.apply(wanted)
        if before:
            self.cluster.delete("daemonset", CHILD, self.namespace)

        def converged() -> bool:
            daemon_set = self.cluster.get("daemonset", CHILD, self.namespace)
            if not daemon_set or (before and daemon_set["metadata"]["uid"] == before["metadata"]["uid"]):
                return False
            return self.has_interval(interval)

        return converged

    def has_interval(self, interval: str) -> bool:
        """Return whether the ServiceMonitor has this interval."""
        monitor = self.cluster.get("servicemonitor", CHILD, self.namespace)
        return monitor is not None and monitor["spec"]["endpoints"][0]["interval"] == interval

    def recover(self, name: str, converged: Callable[[], bool]) -> None:
        """Wait until the operator has converged after the end of a fault, and record the time."""
        ended = time.monotonic()
        eventually(converged, CONVERGED_SECONDS)
        self.measured[name] = time.monotonic() - ended
        eventually(self.ready, CONVERGED_SECONDS)
        assert self.runs()

    def ready(self) -> bool:
        code, text = self.probe("readyz")
        assert code == 200, text
        return True

    def survive(self, name: str, fault: Fault, match: Match, seconds: float) -> None:
        """Inject a fault for this time, disturb the target during it, and wait for convergence."""
        sys.stderr.write(f"{name}\n")
        with self.proxy.inject(fault, match):
            if self.runs():
                self.proxy.drop()  # ended watches are followed by lists
            else:
                self.operator.start()
            converged = self.disturb()
            eventually(lambda: self.proxy.hits, CONVERGED_SECONDS)
            time.sleep(seconds)
            assert self.runs(), f"{name}: the operator exited"
            eventually(lambda: self.probe("healthz")[0] == 200, START_SECONDS)
        self.recover(name, converged)


def _token(kubeconfig: Path) -> str:
    token: str = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    return token


@pytest.fixture(scope="module")
def proxied(
    cluster: Cluster, control_plane: ControlPlane, operator: RunningOperator, replica: Any, tmp_path_factory: Any
) -> Iterator[Proxied]:
    """An operator behind the proxy, not started. The other operator of the release is stopped first."""
    running: RunningOperator = replica(POD, METRICAT_LOG_LEVEL="INFO")
    kubeconfig = Path(running.environment["KUBECONFIG"])
    token = _token(kubeconfig)
    operator.stop()
    with FaultProxy(control_plane.url, control_plane.ca, tmp_path_factory.mktemp("proxy")) as proxy:
        made = Proxied(cluster, proxy, running, kubeconfig, token)
        made.write_kubeconfig()
        yield made
    for name, seconds in made.measured.items():
        sys.stderr.write(f"{name:<44} {seconds:6.1f} s\n")
    operator.start()
    eventually(operator.ready, START_SECONDS)


@pytest.fixture
def running(proxied: Proxied, cluster: Cluster, namespace: str) -> Iterator[Proxied]:
    """The operator behind the proxy, with a target that is ready."""
    proxied.namespace = namespace
    proxied.operator.start()
    try:
        cluster.apply(target(namespace))
        wait_ready(cluster, namespace)
        yield proxied
        assert proxied.runs()
        assert proxied.operator.stop() == 0
        assert proxied.operator.errors() == []
    finally:
        proxied.operator.kill()
        sys.stderr.write(proxied.operator.log.read_text()[-20_000:])
        proxied.operator.log.unlink()


PARTS = 2
"""Each fault costs some seconds of waiting: the workers of `make test` share the faults."""
TYPICAL = (
    "429, date",
    "429, negative",
    "410",
    "401",
    "404",
    "503, HTML",
    "422, free reason",
    "500, infinite code",
    "504, invalid UTF-8",
    "504, error event",
    "200, cut",
    "200, cut in a character",
    "200, null",
    "200, wrong types",
    "200, gzip garbage",
    "200, same page again",
    "200, expired event",
    "200, HTTP/1.0",
    "307, to itself",
    "no HTTP",
    "reset",
)
"""One fault of each kind: retry times, statuses, texts, bodies, events and connections."""
LONG = "429, 120 s"
"""The operator waits 30 s, as `test_retry_after_is_bounded` checks."""
LARGE = ("200, gzip bomb", "200, endless", "200, endless gzip", "500, endless")
OTHERS = tuple(name for name in FAULTS if name not in (*TYPICAL, *LARGE, LONG))


@pytest.mark.parametrize(
    "names",
    [
        *(TYPICAL[part::PARTS] for part in range(PARTS)),
        pytest.param(OTHERS, marks=pytest.mark.slow),
    ],
    ids=["typical-0", "typical-1", "others"],
)
def test_each_fault_in_all_requests_of_a_running_operator(running: Proxied, names: tuple[str, ...]) -> None:
    for name in names:
        running.survive(f"{name}, all requests", FAULTS[name], fault_proxy.everything, 0.5)


@pytest.mark.slow
def test_long_fault_in_all_requests_of_a_running_operator(running: Proxied) -> None:
    running.survive(f"{LONG}, all requests", FAULTS[LONG], fault_proxy.everything, 0.5)


@pytest.mark.parametrize(
    "name", [LARGE[0], LARGE[1], *(pytest.param(one, marks=pytest.mark.slow) for one in LARGE[2:])]
)
def test_large_responses_neither_block_the_operator_nor_fill_its_memory(running: Proxied, name: str) -> None:
    """The event loop serves the probes: before, the operator decompressed in it for minutes."""
    slowest = 0.0
    with running.proxy.inject(FAULTS[name]):
        converged = running.disturb()
        ends = time.monotonic() + LARGE_SECONDS
        while (began := time.monotonic()) < ends:
            assert running.probe("healthz")[0] == 200  # within the 5 s of `probe`
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.1)
        assert running.proxy.hits
    running.measured[f"{name}, slowest response of /healthz"] = slowest
    running.recover(f"{name}, all requests", converged)
    assert running.operator.process is not None
    assert peak_mib(running.operator.process.pid) < MEMORY_LIMIT_MIB


STARTS = ("401", "403", "410", "429, date", "503", "200, HTML", "200, cut", "200, null", "404", "reset")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one in STARTS[4:] else ()) for one in STARTS]
)
def test_operator_starts_during_a_fault(proxied: Proxied, cluster: Cluster, namespace: str, name: str) -> None:
    proxied.namespace = namespace
    cluster.apply(target(namespace))
    try:
        with proxied.proxy.inject(FAULTS[name]):
            proxied.operator.start()
            eventually(lambda: proxied.probe("healthz")[0] == 200, START_SECONDS)
            time.sleep(1.0)
            assert proxied.runs()
            code, text = proxied.probe("readyz")
            assert code == 503
            assert text.startswith("kinds not yet listed: Node")
        proxied.recover(f"{name}, at start", lambda: cluster.get("daemonset", CHILD, namespace) is not None)
        assert proxied.operator.stop() == 0
    finally:
        proxied.operator.kill()


def test_readiness_reports_the_reason_of_an_outage_and_liveness_ignores_it(running: Proxied) -> None:
    with running.proxy.inject(FAULTS["503"]):
        running.disturb()
        eventually(lambda: "cannot list or watch Node: injected\n" in running.probe("readyz")[1], 60)
        eventually(
            lambda: "cannot read or write the Lease monitoring/metricat: injected" in running.probe("readyz")[1], 60
        )
        assert running.probe("readyz")[0] == 503
        assert running.probe("healthz") == (200, "ok\n")
    eventually(running.ready, CONVERGED_SECONDS)


@pytest.mark.slow
def test_readiness_reports_writes_that_fail(running: Proxied) -> None:
    with running.proxy.inject(FAULTS["500"], fault_proxy.writes):
        running.disturb()
        eventually(lambda: "cannot write any object: injected\n" in running.probe("readyz")[1], 60)
        assert running.probe("readyz")[0] == 503
        assert running.probe("healthz") == (200, "ok\n")
    eventually(running.ready, CONVERGED_SECONDS)


def test_outage_is_logged_once_for_each_operation(running: Proxied) -> None:
    with running.proxy.inject(FAULTS["500"]):
        time.sleep(8)
    eventually(running.ready, CONVERGED_SECONDS)
    events = [json.loads(line) for line in running.operator.log.read_text().splitlines()]
    failing = [
        one["operation"] for one in events if one["event"].startswith("operation fails") and one.get("status") == 500
    ]
    assert "list or watch Node" in failing
    assert len([one for one in failing if one == "list or watch Node"]) == 1


def test_rejected_token_is_read_again(running: Proxied, control_plane: ControlPlane) -> None:
    old = running.token
    rejected = partial(_bears, old)
    with running.proxy.inject(FAULTS["401"], rejected):
        converged = running.disturb()
        time.sleep(3)
        assert running.runs()
        running.renew_token(control_plane)
        running.write_kubeconfig()
        running.recover("401, rotated token", converged)


def _bears(token: str, request: fault_proxy.Request) -> bool:
    return request.headers.get("authorization", "").endswith(token)


def test_new_certificate_authority_is_read_again(running: Proxied) -> None:
    running.proxy.change_authority()
    running.proxy.drop()
    converged = running.disturb()
    time.sleep(3)
    assert running.runs()
    running.write_kubeconfig()
    running.recover("new CA", converged)


def test_operator_survives_refused_connections(running: Proxied) -> None:
    with running.proxy.refused():
        converged = running.disturb()
        time.sleep(3)
        assert running.runs()
    running.recover("refused, all requests", converged)


def test_change_between_reading_and_writing_the_status_is_handled(running: Proxied) -> None:
    """The response to the status write has the changed spec, and the event of the change is not newer than it."""
    cluster, namespace = running.cluster, running.namespace
    held, changed, reported = threading.Event(), threading.Event(), threading.Event()

    async def delayed(request: fault_proxy.Request, writer: asyncio.StreamWriter) -> None:
        held.set()
        await asyncio.to_thread((reported if fault_proxy.kopf(request) else changed).wait, 20)
        await running.proxy.forward(request, writer)

    def matches(request: fault_proxy.Request) -> bool:
        return request.path.endswith("/status") or (held.is_set() and fault_proxy.kopf(request))

    with running.proxy.inject(delayed, matches):
        cluster.apply(target(namespace, {"monitor": {"interval": "32s"}}))
        assert held.wait(20)
        running.proxy.drop(fault_proxy.kopf)
        cluster.apply(target(namespace, {"monitor": {"interval": "33s"}}))
        changed.set()
        eventually(lambda: running.has_interval("33s"), 15)
        reported.set()


def test_review_of_a_scrape_fails_with_503_during_a_fault(running: Proxied) -> None:
    """A scraper retries a 503. With 401 or 403, an administrator would look for a missing role."""
    for name in ("429, date", "401", "403", "503", "200, HTML", "200, null", "200, {}", "200, wrong types", "reset"):
        with running.proxy.inject(FAULTS[name], fault_proxy.reviews):
            assert scrape(running.operator, f"token-{name}") == 503, name
            assert running.runs()


def scrape(operator: RunningOperator, token: str) -> int:
    url = f"https://127.0.0.1:{operator.environment['METRICAT_METRICS_PORT']}/metrics"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.slow
def test_operator_works_if_discovery_fails_in_part(proxied: Proxied, cluster: Cluster, namespace: str) -> None:
    """An aggregated API without a server: the API server lists its group and answers 503 for it."""
    spec = {
        "group": "metrics.example.com",
        "version": "v1",
        "service": {"name": "absent", "namespace": "monitoring"},
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    name = {"name": "v1.metrics.example.com"}
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    cluster.api.call(
        "POST", path, {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": name, "spec": spec}
    )
    try:
        cluster.apply(target(namespace))
        proxied.operator.start()
        wait_ready(cluster, namespace)
        assert proxied.operator.stop() == 0
        assert proxied.operator.errors() == []
    finally:
        proxied.operator.kill()
        cluster.api.call("DELETE", f"{path}/{name['name']}")


@pytest.mark.slow
def test_operator_reports_an_admission_webhook_that_does_not_respond(running: Proxied) -> None:
    cluster = running.cluster
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        webhook = {
            "name": "stalls.example.com",
            "clientConfig": {"url": f"https://127.0.0.1:{server.getsockname()[1]}/"},
            "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["daemonsets"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 3,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": running.namespace}},
        }
        metadata = {"name": "stalls"}
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
        cluster.api.call("POST", path, {**kind, "metadata": metadata, "webhooks": [webhook]})
        try:
            time.sleep(2)  # until the API server has read it
            cluster.apply(target(running.namespace, {"nodeSelector": {"matchLabels": {"a": "b"}}}))
            applied = partial(cluster.condition, running.namespace, "nodes", "Applied")
            eventually(lambda: "stalls.example.com" in applied().get("message", ""), CONVERGED_SECONDS)
            assert running.probe("readyz")[0] == 200  # the writes of the other kinds succeed
        finally:
            cluster.api.call("DELETE", f"{path}/stalls")
    running.recover("webhook stalls", lambda: applied().get("status") == "True")


@pytest.mark.slow
def test_operator_works_with_owner_references_permission_enforcement(
    running: Proxied, control_plane: ControlPlane
) -> None:
    with api_server_flags(
        control_plane, "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement"
    ):
        running.recover("API server restarted", running.disturb())
        running.cluster.api.call("DELETE", "/apis/coordination.k8s.io/v1/namespaces/monitoring/leases/metricat")
        eventually(lambda: running.cluster.get("lease", "metricat", "monitoring"), CONVERGED_SECONDS)
        running.recover("Lease deleted", running.disturb())


@contextmanager
def api_server_flags(control_plane: ControlPlane, flag: str) -> Iterator[None]:
    """Restart the API server with this flag in place of the one of that name; restore it afterwards."""
    command = control_plane.state.folder / "kube-apiserver.command.json"
    before = command.read_text()
    name = flag.partition("=")[0]
    command.write_text(json.dumps([word for word in json.loads(before) if not word.startswith(f"{name}=")] + [flag]))
    control_plane.restart("kube-apiserver")
    try:
        yield
    finally:
        command.write_text(before)
        control_plane.restart("kube-apiserver")


@pytest.mark.slow
def test_target_with_the_longest_name_is_reconciled(running: Proxied) -> None:
    name = ".".join(["a" * 62] * 4) + "b"
    assert len(name) == 252
    name += "c"
    made = target(running.namespace)
    made["metadata"]["name"] = name
    running.cluster.delete("mtarget", "nodes", running.namespace)
    running.cluster.apply(made)
    ready = partial(running.cluster.condition, running.namespace, name, "Ready")
    eventually(lambda: ready().get("status") == "True", CONVERGED_SECONDS)


@pytest.mark.slow
def test_crds_are_deleted_and_created_again(running: Proxied) -> None:
    cluster = running.cluster
    cluster.do("delete", "-f", str(ROOT / "crds"))
    time.sleep(5)
    assert running.runs()
    assert running.probe("healthz")[0] == 200
    cluster.do("apply", "--server-side", "-f", str(ROOT / "crds"))
    eventually(lambda: cluster.run("get", "mtarget").returncode == 0)

    def created() -> bool:
        cluster.apply(target(running.namespace))
        return True

    eventually(created)
    running.recover("CRDs created again", lambda: cluster.get("daemonset", CHILD, running.namespace) is not None)
    wait_ready(cluster, running.namespace)


@pytest.mark.slow
def test_replicas_of_different_versions_do_not_alternate(running: Proxied, replica: Any) -> None:
    """A standby with another agent image writes only after it takes the Lease, and then once."""
    other: RunningOperator = replica("metricat-other", METRICAT_AGENT_IMAGE="metricat/agent:other")
    other.start()
    try:
        eventually(other.ready, START_SECONDS)
        before = _daemon_set(running)
        running.recover("standby of another version", running.disturb())
        assert image(_daemon_set(running)) == image(before)
        running.operator.stop()
        eventually(lambda: image(_daemon_set(running)) == "metricat/agent:other", CONVERGED_SECONDS)
        assert _daemon_set(running)["metadata"]["generation"] == 2
        running.operator.start()
        eventually(running.ready, START_SECONDS)
        assert _daemon_set(running)["metadata"]["generation"] == 2
    finally:
        other.stop()


def _daemon_set(proxied: Proxied) -> dict[str, Any]:
    found = proxied.cluster.get("daemonset", CHILD, proxied.namespace)
    assert found is not None
    return found


def image(daemon_set: dict[str, Any]) -> str:
    found: str = daemon_set["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def start_etcd(control_plane: ControlPlane) -> None:
    command: list[str] = json.loads((control_plane.state.folder / "etcd.command.json").read_text())
    control_plane.processes.start("etcd", command)


@pytest.mark.slow
def test_operator_accepts_older_states_after_etcd_is_restored(running: Proxied, control_plane: ControlPlane) -> None:
    """The resource versions go back, and a change after the backup is gone."""
    folder = control_plane.state.folder
    cluster = running.cluster
    old, new = "31s", "47s"

    cluster.apply(target(running.namespace, {"monitor": {"interval": old}}))
    eventually(lambda: running.has_interval(old))
    control_plane.kill("kube-apiserver")
    control_plane.kill("etcd")
    shutil.copytree(folder / "etcd", folder / "etcd-backup")
    start_etcd(control_plane)
    control_plane.restart("kube-apiserver")
    for number in range(20):  # more writes than the operator makes after the restore
        cluster.apply(target(running.namespace, {"monitor": {"interval": f"{60 + number}s"}}))
    cluster.apply(target(running.namespace, {"monitor": {"interval": new}}))
    eventually(lambda: running.has_interval(new), CONVERGED_SECONDS)
    control_plane.kill("kube-apiserver")
    control_plane.kill("etcd")
    shutil.rmtree(folder / "etcd")
    shutil.move(folder / "etcd-backup", folder / "etcd")
    start_etcd(control_plane)
    control_plane.restart("kube-apiserver")
    try:
        cluster.delete("servicemonitor", CHILD, running.namespace)
        running.recover("etcd restored", lambda: running.has_interval(old))
        running.recover("etcd restored, then changed", running.disturb())
    finally:
        for component in ("kube-controller-manager", "kube-scheduler", "kwok"):
            control_plane.restart(component)


MATCHES: dict[str, Match] = {
    "lists": fault_proxy.lists,
    "watches": fault_proxy.watches,
    "writes": fault_proxy.writes,
    "Leases": fault_proxy.leases,
    "kopf's requests": fault_proxy.kopf,
}


@pytest.mark.slow
@pytest.mark.parametrize("match", MATCHES)
def test_operator_survives_each_fault_in_one_kind_of_request(running: Proxied, match: str) -> None:
    for name, fault in FAULTS.items():
        running.survive(f"{name}, {match}", fault, MATCHES[match], 6.0)


@pytest.mark.slow
def test_operator_survives_each_fault_in_discovery_at_start(running: Proxied) -> None:
    for name, fault in FAULTS.items():
        assert running.operator.stop() == 0
        running.survive(f"{name}, discovery at start", fault, fault_proxy.discovery, 4.0)


OUTAGES = (
    "500",
    "503",
    "429, 1 s",
    "429, date",
    "429, 120 s",
    "401",
    "403",
    "404",
    "410",
    "200, HTML",
    "reset",
    "stall",
)


@pytest.mark.slow
def test_operator_recovers_after_an_outage_longer_than_every_delay(running: Proxied) -> None:
    for name in OUTAGES:
        running.survive(f"{name}, all requests, 35 s", FAULTS[name], fault_proxy.everything, 35.0)
