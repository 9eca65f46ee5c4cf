"""Checks of the API server and of the operator."""

import re
from collections.abc import Iterator
from importlib.metadata import version

from metricat_cli import operators, targets
from metricat_cli.checks.model import Check, State
from metricat_cli.cluster import ApiServer
from metricat_cli.cluster.api_server import namespaced

KUBERNETES = "kubernetes"
OPERATOR = "operator"
_OLDEST = (1, 30)


def kubernetes(api: ApiServer) -> Iterator[Check]:
    """Yield the checks of the API server. The first one raises `ApiError` if the server does not respond."""
    found = api.get("/version")
    text = str(found.get("gitVersion", ""))
    yield Check(KUBERNETES, "the API server responds", message=f"{api.credentials.server}, {text}")
    numbers = re.match(r"v?(\d+)\.(\d+)", text)
    old = bool(numbers) and (int(numbers[1]), int(numbers[2])) < _OLDEST  # type: ignore[index]
    yield Check(
        KUBERNETES,
        "the version is supported",
        State.WARNING if old else State.OK,
        f"Kubernetes {text} is older than 1.30." if old else "",
        "Upgrade the cluster." if old else "",
    )


def operator(api: ApiServer, only: str = "") -> Iterator[Check]:
    """Yield the checks of the CRD and of each operator, or of the one with this NAMESPACE/NAME."""
    name = "the CRD MonitoringTarget exists"
    if not targets.installed(api):
        yield Check(OPERATOR, name, State.FAILED, "The cluster does not serve MonitoringTarget.", targets.INSTALL)
        return
    yield Check(OPERATOR, name)
    found = [one for one in operators.find(api, only.partition("/")[0]) if not only or str(one) == only]
    if not found:
        message = f"The operator {only} has no Deployment." if only else "No operator has a Deployment."
        yield Check(OPERATOR, "an operator is deployed", State.FAILED, message, targets.INSTALL)
        return
    for one in found:
        yield from _deployed(api, one)


def _deployed(api: ApiServer, operator: operators.InstalledOperator) -> Iterator[Check]:
    name = f"the pods of {operator} are ready"
    if not operator.replicas:
        command = f"kubectl scale deployment {operator.name} -n {operator.namespace} --replicas=2"
        yield Check(OPERATOR, name, State.FAILED, "The Deployment has 0 replicas.", command)
        return
    if operator.available < operator.replicas:
        pods = api.list(namespaced("v1", "pods", operator.namespace), operator.selector)
        problems = [f"{pod['metadata']['name']}: {problem}" for pod in pods if (problem := operators.pod_problem(pod))]
        command = f"kubectl describe pod -n {operator.namespace} -l {operator.selector}"
        message = f"{operator.available} of {operator.replicas} pods are ready. {'; '.join(problems[:3])}".strip()
        yield Check(OPERATOR, name, State.WARNING if operator.available else State.FAILED, message, command)
    else:
        yield Check(OPERATOR, name, message=f"{operator.available} of {operator.replicas}")
    yield _leads(api, operator)
    yield _same_version(operator)


def _leads(api: ApiServer, operator: operators.InstalledOperator) -> Check:
    name = f"a pod of {operator} leads"
    logs = f"kubectl logs -n {operator.namespace} deployment/{operator.name} --tail=50"
    found = operators.leader(api, str(operator))
    if found is None:
        return Check(OPERATOR, name, State.FAILED, f"The Lease {operator} has no holder.", logs)
    holder, late = found
    if late > 0:
        message = f"The Lease {operator} of {holder} expired {late:.0f} s ago."
        return Check(OPERATOR, name, State.FAILED, message, logs)
    return Check(OPERATOR, name, message=holder)


def _same_version(operator: operators.InstalledOperator) -> Check:
    name, ours = f"{operator} has the version of this command line", version("metricat-cli")
    if operator.version == ours:
        return Check(OPERATOR, name, message=ours)
    message = (
        f"The operator has the version {operator.version}, the command line {ours}. Checks may be missing or wrong."
    )
    return Check(OPERATOR, name, State.WARNING, message, f"pip install metricat-cli=={operator.version}")
