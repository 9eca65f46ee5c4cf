"""What the status of a target holds."""

from typing import Annotated, Literal

from pydantic import Field

from metricat_operator.api.fields import Model


class Condition(Model):
    """As `metav1.Condition`."""

    type: Annotated[str, Field(max_length=316)] = Field(description="What is said.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: int | None = Field(default=None, description="The generation that it was said of.")
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})] = Field(
        description="When the status last changed."
    )
    reason: str = Field(max_length=1024, description="Why, as one word for programs.")
    message: str = Field(max_length=32_768, description="Why, for people.")


class NodeCounts(Model):
    """Nodes by the state of their agent."""

    desired: int = Field(default=0, description="Nodes that should have an agent.")
    ready: int = Field(default=0, description="Nodes with a ready agent.")
    updated: int = Field(default=0, description="Nodes with the newest agent.")
    uncovered: int = Field(default=0, description="Nodes that should have a ready agent and have none.")
    scraped: int | None = Field(
        default=None, description="Nodes of which Prometheus has samples; left out where none could be asked."
    )


class PoolCounts(Model):
    """A pool's nodes by the state of their agent."""

    name: str = Field(description="The pool's name.")
    desired: int = Field(default=0, description="Nodes that should have an agent.")
    ready: int = Field(default=0, description="Nodes with a ready agent.")


class UncoveredNode(Model):
    """A node that should have a ready agent and has none."""

    node: str = Field(description="The node's name.")
    pool: str = Field(default="", description="The pool that owns it.")
    reason: str = Field(description="Why, as one word for programs.")
    message: str = Field(default="", description="Why, for people.")


class Status(Model):
    """What is true of the target."""

    observed_generation: int | None = Field(default=None, description="The generation that the status is about.")
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(default=(), description="What holds and what does not, with the reason.")
    nodes: NodeCounts | None = Field(default=None, description="Nodes by the state of their agent.")
    pools: Annotated[
        tuple[PoolCounts, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(default=(), description="The same for each pool, where there are pools.")
    uncovered: tuple[UncoveredNode, ...] = Field(
        default=(), description="The first 50 nodes that should have a ready agent and have none."
    )
