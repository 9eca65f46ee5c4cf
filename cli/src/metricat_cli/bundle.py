"""A support archive: the state of Metricat in a cluster as files. Secrets are never read, secret values are masked."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from metricat_cli import agents, checks, operators, targets
from metricat_cli.checks.run import Scope
from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.cluster.api_server import Object, namespaced
from metricat_cli.errors import CommandError
from metricat_cli.masking import masked, masked_text
from metricat_cli.operators import InstalledOperator, pod_problem
from metricat_cli.output import structured
from metricat_cli.prometheus import PrometheusClient
from metricat_cli.prometheus_of_target import client
from metricat_cli.targets import ClusterTarget
from metricat_operator import naming
from metricat_operator.child_kinds import CHILD_KINDS

_REQUESTS = 8
_LOG_BYTES = 2 * 2**20
_PROMETHEUS = "monitoring.coreos.com/v1"


@dataclass(frozen=True)
class Limits:
    """Limits of the logs in the archive."""

    lines: int = 1000
    """Lines of each log, from its end."""
    agents: int = 10
    """Agents of each target whose logs are read, those that are not ready first."""


@dataclass(frozen=True)
class File:
    """One file of the archive."""

    name: str
    content: bytes


@dataclass(frozen=True)
class _Part:
    """A file that a function reads. It masks the secrets itself: in objects by key, in logs by pattern."""

    name: str
    read: Callable[[], str]


def collect(api: ApiServer, namespace: str, limits: Limits, prometheus: PrometheusClient | None = None) -> list[File]:
    """Return the files of the archive, sorted by name. The file `errors.txt` names each part that is missing.

    `namespace` restricts the targets; empty: the targets of all namespaces. `prometheus` replaces the Prometheus that
    the status of each target names.

    Raises:
        CommandError: the API server does not respond.
    """
    api.get("/version")  # fails if the cluster is not reachable
    errors: list[str] = []

    def attempt(part: _Part) -> File | None:
        try:
            return File(part.name, part.read().encode())
        except CommandError as error:
            errors.append(f"{part.name}: {error}")
            return None

    def listed(name: str, read: Callable[[], list[Any]]) -> list[Any]:
        try:
            return read()
        except CommandError as error:
            errors.append(f"{name}: {error}")
            return []

    installed = listed("operators", lambda: operators.find(api))
    found = listed("targets", lambda: targets.find(api, namespace))
    parts = [
        *_general(api, namespace, installed, prometheus),
        *(part for one in installed for part in _of_operator(api, one, limits, listed)),
        *(part for one in found for part in _of_target(api, one, limits, listed, prometheus)),
    ]
    with api.threads(_REQUESTS) as pool:
        files = [one for one in pool.map(attempt, parts) if one]
    if errors:
        files.append(File("errors.txt", masked_text("\n".join(sorted(errors)) + "\n").encode()))
    return sorted(files, key=lambda one: one.name)


def archive(files: Iterable[File], folder: str, at: float) -> bytes:
    """Return a .tar.gz of the files in a folder. `at` is their time of modification, in seconds since 1970 (UTC)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for one in files:
            entry = tarfile.TarInfo(str(PurePosixPath(folder, one.name)))
            entry.size, entry.mtime, entry.mode = len(one.content), int(at), 0o600
            tar.addfile(entry, io.BytesIO(one.content))
    return buffer.getvalue()


_Listed = Callable[[str, Callable[[], list[Any]]], list[Any]]


def _general(
    api: ApiServer, namespace: str, installed: Sequence[InstalledOperator], prometheus: PrometheusClient | None
) -> Iterator[_Part]:
    def versions() -> str:
        kubernetes = api.get("/version").get("gitVersion", "")
        ours = {"metricat": version("metricat-cli"), "kubernetes": kubernetes}
        return _yaml({**ours, "operators": {str(one): one.version for one in installed}})

    yield _Part("versions.yaml", versions)
    yield _Part("checks.yaml", lambda: _yaml([_check(one) for one in checks.run(api, Scope(namespace), prometheus)]))
    yield _Part("nodes.yaml", lambda: _yaml([_node(one) for one in api.list(namespaced("v1", "nodes"))]))
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/monitoringtargets.metricat.dev"
    yield _Part("crd.yaml", lambda: _yaml(_without_schema(api.object(path))))


def _check(check: checks.Check) -> dict[str, str]:
    return {key: str(value) for key, value in asdict(check).items()}


def _node(node: Object) -> Object:
    """Return the parts of a node that matter for monitoring, without its images and addresses."""
    status = node.get("status") or {}
    return {
        "name": node["metadata"]["name"],
        "labels": node["metadata"].get("labels") or {},
        "taints": (node.get("spec") or {}).get("taints") or [],
        "allocatable": status.get("allocatable") or {},
        "conditions": status.get("conditions") or [],
        "nodeInfo": status.get("nodeInfo") or {},
    }


def _without_schema(crd: Object) -> Object:
    versions = [
        {key: value for key, value in one.items() if key != "schema"} for one in crd.get("spec", {}).get("versions", [])
    ]
    return {**crd, "spec": {**crd.get("spec", {}), "versions": versions}}


def _of_operator(api: ApiServer, operator: InstalledOperator, limits: Limits, listed: _Listed) -> Iterator[_Part]:
    folder = f"operators/{operator}"
    space = operator.namespace
    yield _Part(f"{folder}/deployment.yaml", lambda: _yaml(operator.manifest))
    lease = namespaced("coordination.k8s.io/v1", "leases", space, operator.name)
    yield _Part(f"{folder}/lease.yaml", lambda: _yaml(api.object(lease)))
    pods = listed(f"{folder}/pods", lambda: api.list(namespaced("v1", "pods", space), operator.selector))
    yield from _pods(api, folder, pods, limits)
    names = {operator.name, *(str(pod["metadata"]["name"]) for pod in pods)}
    yield _Part(f"{folder}/events.yaml", lambda: _events(api, space, names))


def _of_target(
    api: ApiServer, target: ClusterTarget, limits: Limits, listed: _Listed, prometheus: PrometheusClient | None
) -> Iterator[_Part]:
    folder = f"targets/{target}"
    yield _Part(f"{folder}/target.yaml", lambda: _yaml(target.manifest))
    label = f"{naming.LABEL_TARGET}={naming.fit(target.name)}"
    names = {target.name}
    for kind in CHILD_KINDS:
        path = namespaced(kind.api_version, kind.plural, target.namespace)
        place = f"{folder}/{kind.plural}"
        for child in listed(place, lambda path=path: _of_kind(api, path, label)):  # type: ignore[misc]
            name = str(child["metadata"]["name"])
            names.add(name)
            shown = {"apiVersion": kind.api_version, "kind": kind.name, **child}
            yield _Part(f"{place}/{name}.yaml", lambda shown=shown: _yaml(shown))  # type: ignore[misc]
    pods = listed(f"{folder}/pods", lambda: agents.pods(api, target))
    pods.sort(key=lambda pod: (not pod_problem(pod), pod["metadata"]["name"]))
    names |= {str(pod["metadata"]["name"]) for pod in pods}
    yield from _pods(api, folder, pods, limits)
    yield _Part(f"{folder}/events.yaml", lambda: _events(api, target.namespace, names))
    yield _Part(f"{folder}/prometheus-targets.yaml", lambda: _scrapes(target, prometheus or client(api, [target])))
    for one in target.status.get("prometheuses") or []:
        path = namespaced(_PROMETHEUS, "prometheuses", one["namespace"], one["name"])
        name = f"{folder}/prometheuses/{one['namespace']}/{one['name']}.yaml"
        yield _Part(name, lambda path=path: _yaml(api.object(path)))  # type: ignore[misc]


def _of_kind(api: ApiServer, path: str, label: str) -> list[Object]:
    """Return the objects with a label; none if the cluster does not serve the kind."""
    try:
        return api.list(path, label)
    except ApiError as error:
        if error.code == 404:
            return []
        raise


def _pods(api: ApiServer, folder: str, pods: Sequence[Object], limits: Limits) -> Iterator[_Part]:
    """Yield the objects of all pods, and the logs of the first ones."""
    yield _Part(f"{folder}/pods.yaml", lambda: _yaml(list(pods)))
    for pod in pods[: limits.agents]:
        name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
        restarted = {
            one["name"] for one in (pod.get("status") or {}).get("containerStatuses") or [] if one["restartCount"]
        }
        for container in pod["spec"]["containers"]:
            path = f"/api/v1/namespaces/{space}/pods/{name}/log"
            query = {"container": str(container["name"]), "tailLines": str(limits.lines), "limitBytes": str(_LOG_BYTES)}
            file = f"{folder}/logs/{name}.{container['name']}"
            yield _Part(f"{file}.log", _log(api, path, query))
            if container["name"] in restarted:
                yield _Part(f"{file}.previous.log", _log(api, path, {**query, "previous": "true"}))


def _log(api: ApiServer, path: str, query: dict[str, str]) -> Callable[[], str]:
    return lambda: masked_text(api.read(path, query).decode(errors="replace"))


def _events(api: ApiServer, namespace: str, names: set[str]) -> str:
    """Return the events about objects with these names, the oldest first."""
    found = [
        one
        for one in api.list(namespaced("v1", "events", namespace))
        if (one.get("involvedObject") or {}).get("name") in names
    ]
    found.sort(key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
    keys = ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime", "involvedObject")
    return _yaml([{key: one[key] for key in keys if one.get(key)} for one in found])


def _scrapes(target: ClusterTarget, found: PrometheusClient | None) -> str:
    """Return the scrape targets of Prometheus that belong to a MonitoringTarget."""
    if found is None:
        raise CommandError("the status names no Prometheus with a URL. Run: metricat check")
    wanted = (target.namespace, naming.child(target.name))
    keys = ("labels", "scrapeUrl", "health", "lastError", "lastScrape", "lastScrapeDuration", "scrapeInterval")
    shown = [
        {key: one[key] for key in keys if key in one}
        for one in found.scrape_targets()
        if (one.get("labels", {}).get("namespace"), one.get("labels", {}).get("service")) == wanted
    ]
    return _yaml(shown)


def _yaml(value: Any) -> str:
    """Return an object as YAML, with masked secrets."""
    return structured(json.loads(json.dumps(masked(value))), "yaml") + "\n"
