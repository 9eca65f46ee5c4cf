"""The status of a MonitoringTarget."""

from typing import Annotated, Literal

from pydantic import Field

from metricat_operator.api.fields import Model
from metricat_operator.conditions import ConditionType


class StatusCondition(Model):
    """A condition (`metav1.Condition`)."""

    type: Annotated[str, Field(max_length=316)] = Field(
        description="Type of the condition, and the question that it answers.\n"
        + "\n".join(f"{one}: {one.about.question}" for one in ConditionType)
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.")
    observed_generation: int | None = Field(
        default=None, description="Generation of the target that the condition describes."
    )
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})] = Field(
        description="Time of the last change of the status."
    )
    reason: str = Field(max_length=1024, description="Reason in CamelCase, for programs.")
    message: str = Field(max_length=32_768, description="Cause and remedy, for people.")


class NodeCounts(Model):
    """Nodes by the state of their agent."""

    desired: int = Field(default=0, description="Nodes that should have an agent.")
    ready: int = Field(default=0, description="Nodes with a ready agent.")
    updated: int = Field(default=0, description="Nodes with an agent of the newest version.")
    uncovered: int = Field(default=0, description="Selected nodes without a ready agent, including virtual nodes.")
    scraped: int | None = Field(
        default=None, description="Nodes with samples in Prometheus; not set if no Prometheus could be queried."
    )


class PoolCounts(Model):
    """A pool's nodes by the state of their agent."""

    name: str = Field(description="The pool's name.")
    desired: int = Field(default=0, description="Nodes that should have an agent.")
    ready: int = Field(default=0, description="Nodes with a ready agent.")


class UncoveredNode(Model):
    """A selected node without a ready agent."""

    node: str = Field(description="The node's name.")
    pool: str = Field(default="", description="The pool that owns the node.")
    reason: str = Field(description="Reason in CamelCase, for programs.")
    message: str = Field(default="", description="Cause and remedy, for people.")


class PrometheusAddress(Model):
    """A Prometheus that selects the ServiceMonitor, with the URL of its API."""

    namespace: str = Field(description="Namespace of the Prometheus object.")
    name: str = Field(description="Name of the Prometheus object.")
    url: str = Field(
        default="",
        description="URL of the API in the cluster; empty if the Prometheus has several shards or listens on loopback "
        "only.",
    )


class Status(Model):
    """The status of a target."""

    observed_generation: int | None = Field(
        default=None, description="Generation of the target that the status describes."
    )
    operator: str = Field(
        default="",
        max_length=317,
        description="Namespace and name of the operator that manages the target: those of its Deployment and Lease.",
    )
    conditions: Annotated[
        tuple[StatusCondition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(default=(), description="Conditions with their reasons.")
    nodes: NodeCounts | None = Field(default=None, description="Nodes by the state of their agent.")
    pools: Annotated[
        tuple[PoolCounts, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(default=(), description="Nodes of each pool by the state of their agent, if the spec defines pools.")
    prometheuses: Annotated[
        tuple[PrometheusAddress, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["namespace", "name"]}),
    ] = Field(default=(), description="Prometheuses that select the ServiceMonitor.")
    uncovered: tuple[UncoveredNode, ...] = Field(
        default=(), description="First 50 selected nodes without a ready agent, with the reason."
    )
