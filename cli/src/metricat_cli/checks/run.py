"""All checks, in the order of the chain."""

from collections.abc import Iterator
from dataclasses import dataclass
from http.client import FORBIDDEN

from metricat_cli import operators, targets
from metricat_cli.checks.model import Check, State
from metricat_cli.checks.operator import KUBERNETES, OPERATOR, kubernetes, operator
from metricat_cli.checks.samples import samples
from metricat_cli.checks.target import conditions
from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import PrometheusClient

NO_TARGET = "a MonitoringTarget exists"


@dataclass(frozen=True)
class Scope:
    """The scope of the checks: one target, or those of a namespace or of all namespaces; one operator, or all."""

    namespace: str = ""
    name: str = ""
    operator: str = ""
    """NAMESPACE/NAME of one operator: only its targets are checked, and those that no operator manages yet."""
    require_target: bool = True


def run(api: ApiServer, scope: Scope, prometheus: PrometheusClient | None = None) -> Iterator[Check]:
    """Yield the result of each check. A failure that makes the later checks impossible is the last one."""
    try:
        yield from kubernetes(api)
        for check in _permitted(api, operator(api, scope.operator)):
            yield check
            if check.state is State.FAILED and check.name.endswith(" exists"):
                return
        found = [
            target
            for target in targets.find(api, scope.namespace, scope.name)
            if not scope.operator or target.status.get("operator", scope.operator) == scope.operator
        ]
    except CommandError as error:
        message, _, remedy = str(error).partition(". ")
        yield Check(KUBERNETES, "all requests to the API server succeed", State.FAILED, message, remedy)
        return
    if not found:
        state = State.FAILED if scope.require_target else State.WARNING
        message = targets.none_found(scope.namespace)
        if scope.operator:
            message = f"No MonitoringTarget exists that the operator {scope.operator} manages."
        yield Check("targets", NO_TARGET, state, message, targets.CREATE)
    for target in found:
        manager = str(target.status.get("operator") or "")
        yield from conditions(target, stopped=bool(manager) and operators.runs(api, manager) is False)
        yield from samples(api, target, prometheus)


def _permitted(api: ApiServer, found: Iterator[Check]) -> Iterator[Check]:
    """Yield the checks of the operator. If the user may not read an object of it, skip the rest of them.

    The users of a namespace can then still check its targets. The pod of `helm test` has all permissions.
    """
    try:
        yield from found
    except ApiError as error:
        if error.code != FORBIDDEN or api.credentials.in_cluster:
            raise
        yield Check(OPERATOR, "the operator's objects are readable", State.SKIPPED, str(error))
