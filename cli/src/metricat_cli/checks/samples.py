"""Checks that samples arrive: one scrape of an agent, and one query to Prometheus."""

from collections.abc import Iterator
from http.client import FORBIDDEN

from metricat_cli import agents
from metricat_cli.checks.model import Check, State
from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import PrometheusClient
from metricat_cli.prometheus_of_target import client
from metricat_cli.targets import ClusterTarget
from metricat_operator import naming
from metricat_operator.conditions import ConditionType

_AGENT = "an agent returns samples"
_PROMETHEUS = "Prometheus returns a sample of a node"


def samples(api: ApiServer, target: ClusterTarget, prometheus: PrometheusClient | None) -> Iterator[Check]:
    """Yield the checks of a scrape and of a query. `prometheus` replaces the Prometheus that the status names."""
    if not api.credentials.in_cluster:  # the pod of `helm test` may not use the proxy
        yield _scrape(api, target)
    yield _query(api, target, prometheus)


def _scrape(api: ApiServer, target: ClusterTarget) -> Check:
    section = str(target)
    try:
        pods = agents.running(agents.pods(api, target))
    except ApiError as error:
        if error.code != FORBIDDEN:
            raise
        return Check(section, _AGENT, State.SKIPPED, str(error))
    if not pods:
        return Check(section, _AGENT, State.SKIPPED, "No agent of the target runs, so no scrape is possible.")
    name = pods[0]["metadata"]["name"]
    try:
        page = api.pod(target.namespace, name, agents.port(pods[0]), "/metrics", tls=target.scheme == "https")
    except ApiError as error:
        return _refused(target, name, error)
    number = sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))
    if not number:
        return Check(
            section,
            _AGENT,
            State.FAILED,
            f"The pod {name} returns no sample.",
            f"kubectl logs -n {target.namespace} {name}",
        )
    return Check(section, _AGENT, message=f"{name}: {number} samples")


def _refused(target: ClusterTarget, name: str, error: ApiError) -> Check:
    """Return the result for a scrape that failed: a warning if the agent requires credentials."""
    section = str(target)
    if error.code == FORBIDDEN and "pods/proxy" in str(error):
        return Check(section, _AGENT, State.SKIPPED, str(error))
    if why := agents.lacks_credentials(error, tls=target.scheme == "https"):
        return Check(section, _AGENT, State.WARNING, f"The agent {why}: {error}")
    return Check(section, _AGENT, State.FAILED, str(error), f"kubectl logs -n {target.namespace} {name}")


def _query(api: ApiServer, target: ClusterTarget, prometheus: PrometheusClient | None) -> Check:
    section = str(target)
    selector = f'namespace="{target.namespace}",service="{naming.child(target.name)}"'
    describe = f"kubectl describe mtarget {target.name} -n {target.namespace}"
    try:
        found = prometheus or client(api, [target])
        if found is None:
            return Check(
                section, _PROMETHEUS, State.SKIPPED, "The status names no Prometheus with a URL. Set --prometheus."
            )
        result = found.query(f"count(up{{{selector}}} == 1)")
    except CommandError as error:
        # A NetworkPolicy may admit only the operator. Its own query is the reason of Scraped.
        blocked = api.credentials.in_cluster or (isinstance(error, ApiError) and error.code == FORBIDDEN)
        scraped = target.holds(ConditionType.SCRAPED) == "True"
        return Check(section, _PROMETHEUS, State.WARNING if blocked and scraped else State.FAILED, str(error), describe)
    if not result:
        return Check(section, _PROMETHEUS, State.FAILED, f"{found.url} has no sample up{{{selector}}}.", describe)
    return Check(section, _PROMETHEUS, message=f"{found.url}: {float(result[0]['value'][1]):.0f} nodes are up")
