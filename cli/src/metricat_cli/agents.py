"""The agents of MonitoringTargets: their pods, and scrapes of them through the proxy of the API server."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import BAD_REQUEST, FORBIDDEN, UNAUTHORIZED
from urllib.parse import urlencode

from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.cluster.api_server import Object, namespaced
from metricat_cli.targets import ClusterTarget
from metricat_cli.usage import Page, parse
from metricat_operator import naming

_MOST_REQUESTS = 16
"""Scrapes at the same time: each takes a connection of the API server to a node."""


@dataclass(frozen=True)
class Agent:
    """A running agent: the node, the pod, and the port and protocol of its metrics."""

    node: str
    namespace: str
    pod: str
    port: int
    tls: bool = False


def pods(api: ApiServer, target: ClusterTarget) -> list[Object]:
    """Return the agent pods of a target."""
    labels = ",".join(f"{key}={value}" for key, value in naming.agent_selector(target.name).items())
    return api.list(namespaced("v1", "pods", target.namespace), labels)


def port(pod: Object) -> int:
    """Return the port on which the agent of a pod serves its metrics."""
    ports = [one for container in pod["spec"]["containers"] for one in container.get("ports") or []]
    return next((int(one["containerPort"]) for one in ports if one.get("name") == naming.METRICS_PORT), 9100)


def running(found: Iterable[Object]) -> list[Object]:
    """Return the pods in the phase Running that are not being deleted."""
    return [
        pod
        for pod in found
        if (pod.get("status") or {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def find(api: ApiServer, targets: Iterable[ClusterTarget]) -> list[Agent]:
    """Return the running agents of targets, sorted by node."""
    found = [
        Agent(
            str(pod["spec"].get("nodeName", "")),
            target.namespace,
            str(pod["metadata"]["name"]),
            port(pod),
            target.scheme == "https",
        )
        for target in targets
        for pod in running(pods(api, target))
    ]
    return sorted(found, key=lambda one: (one.node, one.pod))


def scrape(api: ApiServer, agent: Agent, collectors: Sequence[str]) -> Page | str:
    """Scrape an agent; return its samples, or the reason for a failure.

    The samples are those of ``collectors``, or of all collectors if one of these is disabled.
    """
    query = urlencode([("collect[]", name) for name in collectors])
    try:
        try:
            content = api.pod(agent.namespace, agent.pod, agent.port, f"/metrics?{query}", tls=agent.tls)
        except ApiError as error:
            if error.code != BAD_REQUEST:
                raise
            # The agent refuses the name of a disabled collector.
            content = api.pod(agent.namespace, agent.pod, agent.port, "/metrics", tls=agent.tls)
    except ApiError as error:
        if isinstance(error.__cause__, TimeoutError):
            return f"the agent did not respond within {api.seconds:g} s"
        if why := lacks_credentials(error, tls=agent.tls):
            return f"the agent {why}, which the proxy does not send: {error}. Query Prometheus instead"
        return str(error)
    return parse(content.decode(errors="replace"), time.monotonic())


def lacks_credentials(error: ApiError, *, tls: bool) -> str:
    """Return the clause that an agent requires, or may require, credentials; empty if the error has another cause.

    A failed request to an agent with TLS may have this cause, because the API server presents no client certificate.
    """
    if error.code == FORBIDDEN and "pods/proxy" in str(error):
        return ""
    if error.code in (UNAUTHORIZED, FORBIDDEN):
        return "requires credentials (spec.agent.web)"
    return "may require credentials (spec.agent.web)" if tls and error.code else ""


def scrape_all(api: ApiServer, agents: Sequence[Agent], collectors: Sequence[str]) -> dict[Agent, Page | str]:
    """Scrape agents, at most 16 at the same time. Return for each its samples, or the reason for a failure."""
    if not agents:
        return {}
    with api.threads(min(_MOST_REQUESTS, len(agents))) as pool:
        return dict(zip(agents, pool.map(lambda one: scrape(api, one, collectors), agents), strict=True))
