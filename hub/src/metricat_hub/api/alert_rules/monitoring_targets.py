"""Endpoints that return MonitoringTargets with their status, and the state of the shipped alerts in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from metricat_hub.api.alert_rules.bodies import ShippedAlert
from metricat_hub.api.alert_rules.targets import TARGET
from metricat_hub.api.operations import Operation
from metricat_hub.api.rest.responses import respond
from metricat_hub.model.alert_rules import LevelBody
from metricat_rules.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation
    from metricat_hub.use_cases.remote_alerts import RemoteRule

State = Literal["firing", "pending", "inactive", "unknown"]
_TAG = "MonitoringTargets"
_STATES: tuple[State, ...] = ("firing", "pending", "inactive")


class TargetCondition(msgspec.Struct):
    """A condition of a MonitoringTarget, as the operator wrote it."""

    type: str
    status: str
    reason: str
    message: str
    since: Annotated[str, Meta(description="When the status of the condition last changed.")]


class TargetNodes(msgspec.Struct):
    """The numbers of a MonitoringTarget's nodes by the state of their agent."""

    desired: int = 0
    ready: int = 0
    updated: int = 0
    uncovered: int = 0
    scraped: Annotated[
        int | None, Meta(description="Nodes that Prometheus scrapes; null: the operator could not query a Prometheus.")
    ] = None


class TargetPool(msgspec.Struct):
    """The numbers of a pool's nodes by the state of their agent."""

    name: str
    desired: int = 0
    ready: int = 0


class UncoveredNode(msgspec.Struct):
    """A node that the MonitoringTarget selects and that has no ready agent, with the reason."""

    node: str
    reason: str
    message: str
    pool: str


class TargetView(msgspec.Struct):
    """A MonitoringTarget with its status."""

    namespace: str
    name: str
    generation: int
    observed_generation: Annotated[
        int, Meta(description="The generation that the status describes; -1: the operator has not written a status.")
    ]
    paused: bool
    conditions: list[TargetCondition]
    nodes: TargetNodes
    pools: list[TargetPool]
    uncovered: Annotated[list[UncoveredNode], Meta(description="Selected nodes without a ready agent, at most 50.")]
    prometheuses: Annotated[list[str], Meta(description="The Prometheuses that select the target, as NAMESPACE/NAME.")]
    rules: Annotated[dict[str, Any], Meta(description="The settings of alerts, as written in the spec.")]
    pool_rules: Annotated[
        dict[str, dict[str, Any]], Meta(description="The settings of alerts for single pools, by name of the pool.")
    ]


class Targets(msgspec.Struct):
    """The MonitoringTargets that the client may see."""

    available: Annotated[bool, Meta(description="Whether this hub runs in a cluster with MonitoringTargets.")]
    data: list[TargetView]


class TargetAlertState(msgspec.Struct):
    """A shipped alert with its state in the Prometheus that evaluates the MonitoringTarget's rules."""

    name: str
    shipped: ShippedAlert
    state: State = "unknown"
    error: str = ""
    expressions: dict[str, str] = msgspec.field(default_factory=dict)


class TargetAlertStates(msgspec.Struct):
    """The shipped alerts of a MonitoringTarget with their state."""

    data: list[TargetAlertState]


async def list_monitoring_targets(request: Request) -> Response:
    """Return the MonitoringTargets of the namespaces that the client may see."""

    def work(own: Services, _: Cancellation) -> Targets:
        client = own.access.targets
        if client is None:
            return Targets(available=False, data=[])
        found = [_view(one) for one in client.all(own.namespaces)]
        return Targets(available=True, data=sorted(found, key=lambda one: (one.namespace, one.name)))

    return await respond(request, work)


async def list_target_alerts(request: Request) -> Response:
    """Return the shipped alerts with their state for a MonitoringTarget."""
    namespace, name = request.path_params["namespace"], request.path_params["name"]

    def work(own: Services, _: Cancellation) -> TargetAlertStates:
        is_visible = own.namespaces is None or namespace in own.namespaces
        rules = own.remote_alerts.rules() if own.remote_alerts and is_visible else ()
        ours = [one for one in rules if _belongs(one, namespace, name)]
        return TargetAlertStates(
            [_state(alert, [one for one in ours if one.name == alert.name]) for alert in CATALOGUE]
        )

    return await respond(request, work)


def _belongs(rule: RemoteRule, namespace: str, name: str) -> bool:
    """Return whether a rule is of a target: its expression selects the series of the target's agents."""
    return f'namespace="{namespace}"' in rule.query and f'service="metricat-{name}"' in rule.query


def _state(alert: Any, rules: Sequence[RemoteRule]) -> TargetAlertState:
    levels = {level.severity: LevelBody(level.threshold, level.duration) for level in alert.levels}
    found = {one.state for one in rules}
    return TargetAlertState(
        alert.name,
        ShippedAlert(alert.meaning, alert.unit, alert.action, levels),
        next((one for one in _STATES if one in found), "unknown"),
        next((one.last_error for one in rules if one.health == "err"), ""),
        {one.labels.get("severity", ""): one.query for one in rules},
    )


def _view(target: Mapping[str, Any]) -> TargetView:
    metadata, spec, status = target["metadata"], target.get("spec") or {}, target.get("status") or {}
    nodes = status.get("nodes") or {}
    return TargetView(
        metadata["namespace"],
        metadata["name"],
        metadata.get("generation", 0),
        status.get("observedGeneration", -1),
        bool(spec.get("paused")),
        [
            TargetCondition(
                *(str(one.get(name, "")) for name in ("type", "status", "reason", "message", "lastTransitionTime"))
            )
            for one in status.get("conditions") or ()
        ],
        TargetNodes(
            nodes.get("desired") or 0,
            nodes.get("ready") or 0,
            nodes.get("updated") or 0,
            nodes.get("uncovered") or 0,
            nodes.get("scraped"),
        ),
        _pools(spec, status),
        [
            UncoveredNode(*(str(one.get(name) or "") for name in ("node", "reason", "message", "pool")))
            for one in status.get("uncovered") or ()
        ],
        [f"{one.get('namespace')}/{one.get('name')}" for one in status.get("prometheuses") or ()],
        (spec.get("alerts") or {}).get("rules") or {},
        {one["name"]: rules for one in spec.get("pools") or () if (rules := (one.get("alerts") or {}).get("rules"))},
    )


def _pools(spec: Mapping[str, Any], status: Mapping[str, Any]) -> list[TargetPool]:
    """Return the pools of the spec, with the numbers of the status."""
    known = {one.get("name"): one for one in status.get("pools") or ()}
    return [
        TargetPool(one["name"], *(known.get(one["name"], {}).get(name) or 0 for name in ("desired", "ready")))
        for one in spec.get("pools") or ()
    ]


OPERATIONS = (
    Operation(
        "/api/v1/monitoring-targets",
        list_monitoring_targets,
        "List the MonitoringTargets that the client may see, with their conditions and the nodes without a ready agent",
        _TAG,
        result=Targets,
        errors=(503,),
        description="The list can be some seconds old. It is empty if the hub does not run in a cluster.",
    ),
    Operation(
        "/api/v1/monitoring-targets/{namespace}/{name}/alert-states",
        list_target_alerts,
        "List the shipped alerts of a MonitoringTarget with their defaults, and their state in Prometheus",
        _TAG,
        parameters=TARGET,
        result=TargetAlertStates,
        errors=(503,),
    ),
)
