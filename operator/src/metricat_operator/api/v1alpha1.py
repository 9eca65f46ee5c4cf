"""MonitoringTarget v1alpha1: the spec, and in it the pools; its parts are in the modules beside.

No field has a default in the schema: the API server would write it into every object, and a later default could not
reach it, nor could a more special setting tell "left out" from "set". Defaults are here, and in the descriptions.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from metricat_operator.api.agent import AgentPoolSettings, AgentSettings
from metricat_operator.api.alerts import Alerts, NodeRules, RuleSettings
from metricat_operator.api.fields import Model, cel, checked_as, rule
from metricat_operator.api.monitor import Monitor
from metricat_operator.api.nodes import MAX_REQUIREMENTS, NodeSelector, size
from metricat_operator.api.notifications import Notifications


def _override(model: type[Model], name: str, base: type[Model] = Model) -> type[Model]:
    """The same fields, each of which may be left out, at every depth: what is left out follows the target."""

    def optional(field: FieldInfo, field_name: str) -> tuple[Any, Any]:
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Model):
            inner = _override(kind, f"{name}{field_name.title().replace('_', '')}")
            return inner, Field(default=inner(), alias=field.alias, description=field.description)
        typed: Any = Annotated[(kind, *field.metadata)] if field.metadata else kind
        extra = field.json_schema_extra
        return typed | None, Field(
            default=None, alias=field.alias, description=field.description, json_schema_extra=extra
        )

    fields: dict[str, Any] = {key: optional(field, key) for key, field in model.model_fields.items()}
    return create_model(name, __base__=(checked_as(model), base), __doc__=model.__doc__, **fields)


if TYPE_CHECKING:

    class PoolAgent(Model):
        """The fields of `PerPool`, each of which may be left out."""

    class PoolRules(RuleSettings):
        """The fields of `NodeRules`, each of which may be left out."""

else:
    PoolAgent = _override(AgentPoolSettings, "PoolAgent")
    PoolRules = _override(NodeRules, "PoolRules", RuleSettings)


class PoolAlerts(Model):
    """The pool's own settings of alerts."""

    rules: PoolRules = Field(default=PoolRules(), description="Settings of the shipped alerts, over the target's.")


MAX_POOLS = 16
MAX_TERMS = 64


class PoolSpec(Model):
    """One pool; what it leaves out is as the target says."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=40,
        description="The pool's name, the series' pool label; not default, which is the pool of all other nodes.",
        json_schema_extra=cel(rule("self != 'default'", "default is the pool of the nodes that no other pool owns")),
    )
    node_selector: NodeSelector = Field(
        description="The pool's nodes. A node that several pools select belongs to the first of them.",
        json_schema_extra=cel(
            rule(
                f"{size('self')} > 0",
                "a pool needs a label or an expression to select nodes by; settings for all nodes belong in spec.agent",
            ),
            rule(
                f"{size('self')} <= {MAX_REQUIREMENTS}",
                f"a pool takes at most {MAX_REQUIREMENTS} labels and expressions",
            ),
        ),
    )
    agent: PoolAgent = Field(default=PoolAgent(), description="How the exporter runs there, over spec.agent.")
    alerts: PoolAlerts = Field(default=PoolAlerts(), description="The pool's own settings of alerts.")


# The API server's CEL has sums and no products, so the limit is on the sum of logarithms (base 2, in thousandths).
_LOG2 = [0, 0, 1000, 1585, 2000, 2322, 2585, 2808, 3000]
_TERMS = rule(
    f"self.map(pool, {size('pool.nodeSelector')})"
    f".map(size, {_LOG2}[size <= {MAX_REQUIREMENTS} ? size : {MAX_REQUIREMENTS}]).sum() <= 6000",
    f"the numbers of labels and expressions of all pools, multiplied, must be {MAX_TERMS} or less; select by fewer",
)

_RECEIVERS = "(has(self.notifications) && has(self.notifications.receivers) ? self.notifications.receivers : [])"
_KNOWN_POOL = "name == 'default' || (has(self.pools) && self.pools.exists(pool, pool.name == name))"


class Spec(Model):
    """What to watch, and how."""

    paused: bool = Field(
        default=False, description="Leave agents, monitors and rules as they are, and keep reporting status."
    )
    node_selector: Annotated[
        NodeSelector,
        Field(
            json_schema_extra=cel(
                rule(
                    f"{size('self')} <= {MAX_REQUIREMENTS}",
                    f"a target takes at most {MAX_REQUIREMENTS} labels and expressions",
                )
            )
        ),
    ] = Field(default=NodeSelector(), description="The nodes to watch. Default: all Linux nodes.")
    agent: AgentSettings = Field(default=AgentSettings(), description="How the exporter runs on each node.")
    pools: Annotated[
        tuple[PoolSpec, ...],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                **cel(_TERMS),
            }
        ),
    ] = Field(
        default=(),
        max_length=MAX_POOLS,
        description="Nodes with settings of their own, in order: a node belongs to the first pool that selects it.",
    )
    monitor: Monitor = Field(default=Monitor(), description="How Prometheus scrapes the agents.")
    alerts: Alerts = Field(default=Alerts(), description="The alert rules and recording rules.")
    notifications: Notifications = Field(
        default=Notifications(), description="Who is told of the alerts, through Alertmanager."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                f"{_RECEIVERS}.all(one, !has(one.pools) || one.pools.all(name, {_KNOWN_POOL}))",
                "a receiver asks for a pool that does not exist; name one of spec.pools, or default",
            )
        )
    }
