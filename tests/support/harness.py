"""Helpers of the operator's tests on a real API server: kubectl, targets, waiting, the operator process."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.child_kinds import wanted_kinds
from metricat_operator.cluster.kinds import CHILDREN
from metricat_tools.binaries import module_dir
from metricat_tools.cluster.api import Api, ClusterApiError
from support import chart

OLD = os.environ.get("METRICAT_TEST_KUBERNETES") == "old"
"""Whether the API server has the oldest supported Kubernetes version, as in `make test-old-kubernetes`."""
CHILD = "metricat-nodes"
SETTLE_SECONDS = 90.0
"""The operator settles within seconds; a busy machine needs ten times as long."""

Manifest = dict[str, Any]

_MONITORING = "/apis/monitoring.coreos.com"
PATHS = {
    **{kind.name.lower(): (kind.path().removesuffix(f"/{kind.plural}"), kind.plural) for kind in CHILDREN},
    "alertmanager": (f"{_MONITORING}/v1", "alertmanagers"),
    "event": ("/api/v1", "events"),
    "lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "monitoringtarget": ("/apis/metricat.dev/v1alpha1", "monitoringtargets"),
    "mtarget": ("/apis/metricat.dev/v1alpha1", "monitoringtargets"),
    "pod": ("/api/v1", "pods"),
    "prometheus": (f"{_MONITORING}/v1", "prometheuses"),
}
"""API path and plural of each kind. Requests that tests repeat use them, because a kubectl process costs more."""

WANTED_CHILDREN = tuple(kind.name.lower() for kind in wanted_kinds(Spec()))
"""The child kinds of a target with an empty spec, as kubectl names them."""


@dataclass(frozen=True)
class Cluster:
    """A cluster with a user: kubectl has the rights of the user, the API client those of the administrator."""

    kubeconfig: Path
    kubectl: Path
    api: Api

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.kubectl, "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def do(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: Manifest, dry_run: bool = False) -> None:
        """Apply server-side, as `kubectl apply --server-side --force-conflicts` does."""
        for manifest in manifests:
            metadata = manifest["metadata"]
            path = api_path(manifest["kind"].lower(), metadata["name"], metadata["namespace"])
            query = f"fieldManager=kubectl&force=true&fieldValidation=Strict{'&dryRun=All' if dry_run else ''}"
            self.api.call("PATCH", f"{path}?{query}", manifest, "application/apply-patch+yaml")

    def create(self, manifest: Manifest) -> None:
        """Create, as `kubectl create` does: an unknown field is an error."""
        path = api_path(manifest["kind"].lower(), "", manifest["metadata"]["namespace"]).rstrip("/")
        self.api.call("POST", f"{path}?fieldManager=kubectl&fieldValidation=Strict", manifest)

    def patch(self, kind: str, name: str, namespace: str, operations: list[dict[str, Any]]) -> None:
        """Apply a JSON Patch (RFC 6902)."""
        self.api.call("PATCH", api_path(kind, name, namespace), operations, "application/json-patch+json")

    def delete(self, kind: str, name: str, namespace: str) -> None:
        """Delete, without waiting for the deletion to finish."""
        self.api.call("DELETE", api_path(kind, name, namespace))

    def get(self, kind: str, name: str, namespace: str) -> Manifest | None:
        try:
            found: Manifest = self.api.get(api_path(kind, name, namespace))
        except ClusterApiError as error:
            if f'"{name}" not found' in str(error):
                return None
            raise AssertionError(f"{kind} {name}: {error}") from error  # `eventually` retries it
        return found

    def pods(self, namespace: str = "", selector: str = "") -> list[Manifest]:
        """Return the pods of one namespace, or of all."""
        place = f"/namespaces/{namespace}" if namespace else ""
        found: list[Manifest] = self.api.get(f"/api/v1{place}/pods?labelSelector={quote(selector)}")["items"]
        return found

    def condition(self, namespace: str, name: str, kind: str) -> Manifest:
        target = self.get("mtarget", name, namespace) or {}
        found = [c for c in target.get("status", {}).get("conditions", []) if c["type"] == kind]
        return found[0] if found else {}


def api_path(kind: str, name: str, namespace: str) -> str:
    group, plural = PATHS[kind]
    return f"{group}/namespaces/{namespace}/{plural}/{name}"


def eventually(what: Callable[[], object], seconds: float = SETTLE_SECONDS) -> None:
    """Wait until `what` returns true; an AssertionError in it counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
            problem = "it stayed false"
        except AssertionError as error:
            problem = str(error)
        assert time.monotonic() < deadline, f"not within {seconds} s: {problem}"
        time.sleep(0.1)


@contextmanager
def served(cluster: Cluster, plural: str) -> Iterator[None]:
    """Serve a kind of the Prometheus Operator while the context is open."""
    cluster.do("apply", "--server-side", "-f", str(crd_file(plural)))
    eventually(lambda: cluster.run("get", plural).returncode == 0)
    yield
    cluster.do("delete", "crd", f"{plural}.monitoring.coreos.com")


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def crd_file(plural: str) -> Path:
    """Return the path of a CRD of the Prometheus Operator."""
    module = module_dir("prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
    return module / "example" / "prometheus-operator-crd" / f"monitoring.coreos.com_{plural}.yaml"


def install_chart(cluster: Cluster, release: str, *values: str) -> None:
    """Apply the chart's objects in the namespace `monitoring`, except the workloads."""
    manifests = chart.render(*values, release=release)
    assert {"ClusterRole", "Role", "ValidatingAdmissionPolicy", "Deployment"} <= {one["kind"] for one in manifests}
    kept = [one for one in manifests if one["kind"] not in {"Deployment", "Job", "Pod", "ConfigMap"}]
    cluster.do("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(kept))


@dataclass
class RunningOperator:
    """A process of the operator."""

    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    prefix: tuple[str, ...] = ()
    """A command that runs the operator."""

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [*self.prefix, sys.executable, "-m", "metricat_operator"]
            self.process = subprocess.Popen(command, env=self.environment, stderr=log)

    def ready(self) -> bool:
        """Return whether the readiness probe succeeds."""
        return self._probe("readyz") == 200

    def handles_signals(self) -> bool:
        """Return whether the process has started its servers, or has ended."""
        assert self.process is not None
        return self.process.poll() is not None or self._probe("healthz") != 0

    def _probe(self, path: str) -> int:
        port = self.environment["METRICAT_HEALTH_PORT"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def scrape(self, token: str = "") -> tuple[int, str]:
        """Return status and body of `/metrics`; 0 and the error without a response."""
        url = f"https://127.0.0.1:{self.environment['METRICAT_METRICS_PORT']}/metrics"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)  # not started yet

    def errors(self) -> list[Manifest]:
        """Return the errors that the operator itself logged; kopf logs retried requests as errors too."""
        events = map(json.loads, self.log.read_text().splitlines())
        return [
            event
            for event in events
            if event["level"] in {"error", "critical"} and event["logger"].startswith("metricat_operator")
        ]

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Run while the context is open; the process must exit with 0 and log no error of its own."""
        self.start()
        try:
            yield
            eventually(self.handles_signals)  # a test that does not wait for the operator may end before
            status = self.stop()
            assert status == 0, f"the operator ended with status {status}"
            assert self.errors() == []
        finally:
            self.kill()
            sys.stderr.write(self.log.read_text()[-20_000:])  # pytest shows it for a failed test

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def target(namespace: str, spec: dict[str, Any] | None = None) -> Manifest:
    return {
        "apiVersion": "metricat.dev/v1alpha1",
        "kind": "MonitoringTarget",
        "metadata": {"name": "nodes", "namespace": namespace},
        "spec": spec or {},
    }


def wait_ready(cluster: Cluster, namespace: str) -> None:
    eventually(lambda: cluster.condition(namespace, "nodes", "Ready").get("status") == "True")
