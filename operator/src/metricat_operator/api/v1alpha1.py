"""MonitoringTarget v1alpha1: the spec with its pools. The other modules of this package define its parts.

No field has a default in the schema: the API server would write it into every object, and a later default would not
reach these objects. A pool could not distinguish an omitted field from a set one. Defaults are in these models and in
the descriptions. See docs/design/0001.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictBool, create_model
from pydantic.fields import FieldInfo

from metricat_operator.api.agent import AgentPoolSettings, AgentSettings
from metricat_operator.api.alerts import Alerts, NodeRules, RuleSettings
from metricat_operator.api.fields import Model, cel, checked_as, rule
from metricat_operator.api.monitor import Monitor
from metricat_operator.api.nodes import MAX_REQUIREMENTS, NodeSelector, size
from metricat_operator.api.notifications import Notifications


def _override(model: type[Model], name: str, base: type[Model] = Model) -> type[Model]:
    """Return a model with the same fields, all optional at every depth. An omitted field follows the target."""

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
        """The fields of `AgentPoolSettings`, all optional."""

    class PoolRules(RuleSettings):
        """The fields of `NodeRules`, all optional."""

else:
    PoolAgent = _override(AgentPoolSettings, "PoolAgent")
    PoolRules = _override(NodeRules, "PoolRules", RuleSettings)


class PoolAlerts(Model):
    """Settings of alerts for the pool."""

    rules: PoolRules = Field(
        default=PoolRules(), description="Settings of the shipped alerts. They override those of the target."
    )


MAX_POOLS = 16
MAX_TERMS = 64


class PoolSpec(Model):
    """A pool of nodes. Omitted settings follow the target."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=40,
        description="The pool's name and the series' pool label. default is reserved for the pool of all other nodes.",
        json_schema_extra=cel(
            rule("self != 'default'", "default is the name of the pool of all other nodes. Choose another name.")
        ),
    )
    node_selector: NodeSelector = Field(
        description="The pool's nodes. A node that several pools select belongs to the first of them.",
        json_schema_extra=cel(
            rule(
                f"{size('self')} > 0",
                "a pool needs a label or an expression that selects nodes. To change the agents of all nodes, use "
                "spec.agent.",
            ),
            rule(
                f"{size('self')} <= {MAX_REQUIREMENTS}",
                f"a pool can have at most {MAX_REQUIREMENTS} labels and expressions",
            ),
        ),
    )
    allow_empty: StrictBool | None = Field(
        default=None,
        description="Whether the pool may have no nodes. Otherwise, NodesSelected is False while it has none. Default: "
        "spec.allowEmpty.",
    )
    agent: PoolAgent = Field(
        default=PoolAgent(), description="Settings of the agents on the pool's nodes. They override spec.agent."
    )
    alerts: PoolAlerts = Field(default=PoolAlerts(), description="Settings of alerts for the pool.")


# The API server's CEL has sums and no products, so the limit is on the sum of logarithms (base 2, in thousandths).
_LOG2 = [0, 0, 1000, 1585, 2000, 2322, 2585, 2808, 3000]
_TERMS = rule(
    f"self.map(pool, {size('pool.nodeSelector')})"
    f".map(size, {_LOG2}[size <= {MAX_REQUIREMENTS} ? size : {MAX_REQUIREMENTS}]).sum() <= 6000",
    f"the product of the pools' numbers of labels and expressions must be at most {MAX_TERMS}. Use fewer of both.",
)

_RECEIVERS = "(has(self.notifications) && has(self.notifications.receivers) ? self.notifications.receivers : [])"
_KNOWN_POOL = "name == 'default' || (has(self.pools) && self.pools.exists(pool, pool.name == name))"


class Spec(Model):
    """The nodes to monitor, and the settings of their agents, scrapes, alerts and notifications."""

    paused: StrictBool = Field(
        default=False, description="Whether to stop changing agents, monitors and rules. The status is still reported."
    )
    node_selector: Annotated[
        NodeSelector,
        Field(
            json_schema_extra=cel(
                rule(
                    f"{size('self')} <= {MAX_REQUIREMENTS}",
                    f"a target can have at most {MAX_REQUIREMENTS} labels and expressions",
                )
            )
        ),
    ] = Field(default=NodeSelector(), description="The nodes to monitor. Default: all Linux nodes.")
    allow_empty: StrictBool = Field(
        default=False,
        description="Whether the target may have no nodes, for example while an autoscaler has removed all of them. "
        "Otherwise, a target without nodes is not Ready.",
    )
    agent: AgentSettings = Field(default=AgentSettings(), description="Settings of the agent on each node.")
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
        description="Groups of nodes with their own settings. A node belongs to the first pool that selects it.",
    )
    monitor: Monitor = Field(default=Monitor(), description="Settings of Prometheus' scrapes of the agents.")
    alerts: Alerts = Field(default=Alerts(), description="The alert rules and recording rules.")
    notifications: Notifications = Field(
        default=Notifications(), description="Receivers of the alerts, through Alertmanager."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                f"{_RECEIVERS}.all(one, !has(one.pools) || one.pools.all(name, {_KNOWN_POOL}))",
                "a receiver selects a pool that does not exist. Use a name from spec.pools, or default.",
            )
        )
    }
