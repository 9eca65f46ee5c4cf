"""MonitoringTarget v1alpha1: the spec and the status.

No field has a default in the schema: the API server would write it into every object, and a later default could not
reach it, nor could a more special setting tell "left out" from "set". Defaults are here, and in the descriptions.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, create_model, model_validator
from pydantic.fields import FieldInfo

from metricat_operator.alerts.catalogue import CATALOGUE, Alert
from metricat_operator.api.collectors import Collectors
from metricat_operator.api.fields import (
    LABEL_KEY,
    LABEL_VALUE,
    Duration,
    IntOrPercent,
    KubernetesLabels,
    Model,
    ObjectName,
    PrometheusLabels,
    Quantity,
    SeriesLabels,
    cel,
    given,
    rule,
)
from metricat_operator.api.notifications import Notifications
from metricat_operator.api.relabeling import Relabeling
from metricat_operator.api.web import Web

_KEYLESS = "a toleration without a key is for every taint, and needs operator Exists"
_EXISTS = "operator Exists asks for no value; leave it out, or write operator Equal"
_NOT_FOR_EVER = "tolerationSeconds needs effect NoExecute"


class Toleration(Model):
    """As in a pod's spec."""

    key: str | None = Field(
        default=None, pattern=LABEL_KEY, max_length=316, description="The taint's key; left out: every key."
    )
    operator: Literal["Exists", "Equal"] | None = Field(default=None, description="Exists or Equal. Default: Equal.")
    value: str | None = Field(
        default=None, pattern=LABEL_VALUE, max_length=63, description="The taint's value, with operator Equal."
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect; left out: every effect."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="How long a NoExecute taint is tolerated. Default: for ever."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("has(self.key) || (has(self.operator) && self.operator == 'Exists')", _KEYLESS),
            rule(f"!{given('value')} || !has(self.operator) || self.operator == 'Equal'", _EXISTS),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                _NOT_FOR_EVER,
            ),
        )
    }

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """The same as the rules above."""
        if self.key is None and self.operator != "Exists":
            raise ValueError(_KEYLESS)
        if self.value and self.operator == "Exists":
            raise ValueError(_EXISTS)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(_NOT_FOR_EVER)
        return self


class Amounts(Model):
    """Amounts of what a node has to share."""

    cpu: Quantity | None = Field(default=None, description="Cores, such as 100m.")
    memory: Quantity | None = Field(default=None, description="Bytes, such as 64Mi.")


class Resources(Model):
    """CPU and memory of one agent."""

    requests: Amounts = Field(
        default=Amounts(cpu="20m", memory="40Mi"),
        description="What the scheduler sets aside. Default: cpu 20m, memory 40Mi.",
    )
    limits: Amounts = Field(
        default=Amounts(memory="128Mi"), description="What the agent may not exceed. Default: memory 128Mi."
    )


class UpdateStrategy(Model):
    """How a new agent rolls out."""

    max_unavailable: IntOrPercent = Field(
        default="10%", description="How many nodes may be without an agent at once, a number or a percentage."
    )


class PerPool(Model):
    """How the exporter runs on each node."""

    collectors: Collectors = Field(default=Collectors(), description="What the agent reads.")
    port: int = Field(
        default=9100, ge=1, le=65535, description="TCP port in the pod's own network: nothing on the node can clash."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(Toleration(operator="Exists"),), max_length=64, description="Taints that do not keep the agent away."
    )
    resources: Resources = Field(default=Resources(), description="CPU and memory of one agent.")
    priority_class_name: ObjectName = Field(
        default="", description="The PriorityClass of the agent's pods. Default: none."
    )
    update_strategy: UpdateStrategy = Field(default=UpdateStrategy(), description="How a new agent rolls out.")
    extra_labels: SeriesLabels = Field(
        default={}, description="Labels onto every series and alert, such as environment or region."
    )


class Agent(PerPool):
    """How the exporter runs on each node.

    What a pool may not set is here: Prometheus is told once for all agents how to ask them.
    """

    web: Web = Field(
        default=Web(), description="TLS, client certificates and a password, by names of Secrets. Not set by pools."
    )


class Monitor(Model):
    """How Prometheus scrapes the agents."""

    labels: KubernetesLabels = Field(
        default={}, description="Labels of the ServiceMonitor, such as the one a Prometheus selects monitors by."
    )
    interval: Duration = Field(default="15s", description="Time between two scrapes, such as 15s.")
    scrape_timeout: Duration = Field(default="10s", description="When a scrape is given up; at most the interval.")
    job_name: str = Field(
        default="metricat",
        min_length=1,
        max_length=63,
        description="The series' job label; node-exporter makes the agents a drop-in replacement for it.",
    )
    service_discovery_role: Literal["Endpoints", "EndpointSlice"] | None = Field(
        default=None,
        description="What Prometheus finds the agents by: Endpoints hold 1,000 at most; for EndpointSlice it must be "
        "allowed to list and watch endpointslices. Default: as the Prometheus has it.",
    )
    sample_limit: int = Field(
        default=0, ge=0, le=10_000_000, description="Samples that one scrape may bring; 0: no limit."
    )
    metric_relabelings: tuple[Relabeling, ...] = Field(
        default=(), max_length=32, description="Changes to scraped samples, in order: drop metrics, rename labels."
    )


def _level_model(alert: Alert, level_index: int) -> type[Model]:
    level = alert.levels[level_index]
    fields: dict[str, Any] = {
        "enabled": (bool, Field(default=True, description="Whether this level can fire.")),
        "duration": (
            Duration,
            Field(default=level.duration, alias="for", description="How long it must be true before it fires."),
        ),
    }
    if level.threshold is not None:
        unit = f", in {alert.unit}" if alert.unit else ""
        fields["threshold"] = (
            float,
            Field(default=float(level.threshold), description=f"The value from which it fires{unit}."),
        )
    return create_model(
        f"{alert.name}{level.severity.title()}", __base__=Model, __doc__=f"The {level.severity} level.", **fields
    )


def _alert_model(alert: Alert) -> type[Model]:
    fields: dict[str, Any] = {}
    for index, level in enumerate(alert.levels):
        model = _level_model(alert, index)
        fields[level.severity] = (model, Field(default=model(), description=f"The {level.severity} level."))
    return create_model(alert.name, __base__=Model, __doc__=alert.meaning, **fields)


def _rules_model() -> type[Model]:
    fields: dict[str, Any] = {}
    for alert in CATALOGUE:
        model = _alert_model(alert)
        fields[alert.name] = (model, Field(default=model(), alias=alert.name, description=alert.meaning))
    return create_model("AlertRules", __base__=Model, __doc__="The shipped alerts, by name.", **fields)


AlertRules: Any = _rules_model()
"""One field for each alert of the catalogue, and in it one for each of its levels."""

PromQL = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]


class UserRule(Model):
    """A rule as in a PrometheusRule: either `alert` or `record`."""

    alert: str | None = Field(default=None, min_length=1, max_length=256, description="The alert's name.")
    record: str | None = Field(
        default=None, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=256, description="The recorded series' name."
    )
    expr: PromQL = Field(description="PromQL.")
    duration: Duration | None = Field(default=None, alias="for", description="How long it must be true to fire.")
    keep_firing_for: Duration | None = Field(
        default=None, alias="keep_firing_for", description="How long it goes on firing after it was last true."
    )
    labels: PrometheusLabels = Field(default={}, description="Labels to add.")
    annotations: PrometheusLabels = Field(default={}, description="Texts to add.")

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("has(self.alert) != has(self.record)", "a rule has either alert or record, and not both")
        )
    }


class UserGroup(Model):
    """A group of the user's own rules."""

    name: str = Field(min_length=1, max_length=253, description="The group's name, unique in the list.")
    interval: Duration | None = Field(default=None, description="Time between two evaluations.")
    rules: tuple[UserRule, ...] = Field(default=(), max_length=200, description="The rules, evaluated in order.")


class Alerts(Model):
    """The alert rules and recording rules."""

    enabled: bool = Field(default=True, description="Whether Metricat ships its rules.")
    labels: KubernetesLabels = Field(
        default={}, description="Labels of the PrometheusRules, such as the one a Prometheus selects rules by."
    )
    runbook_base_url: str = Field(
        default="",
        alias="runbookBaseURL",
        max_length=1024,
        pattern=r"^(https?://[^{}\s]*)?$",
        description="Where the alerts' runbook_url points, the alert's name appended. Default: no runbook_url.",
    )
    rules: AlertRules = Field(default=AlertRules(), description="Settings of the shipped alerts, by name.")
    extra_groups: Annotated[
        tuple[UserGroup, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(
        default=(),
        max_length=50,
        description="Your own rules, in a PrometheusRule of their own: a bad one never takes the shipped ones down.",
    )


class NodeRequirement(Model):
    """What a node's labels must say about one key."""

    key: str = Field(pattern=LABEL_KEY, max_length=316, description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label is compared; a node that lacks it meets NotIn and DoesNotExist."
    )
    values: tuple[Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)], ...] = Field(
        default=(), max_length=32, description="The values for In and NotIn; none for Exists and DoesNotExist."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "In and NotIn need values; Exists and DoesNotExist take none",
            )
        )
    }


MAX_REQUIREMENTS = 8


def _size(selector: str) -> str:
    """CEL for the number of labels and expressions of a node selector."""
    return " + ".join(
        f"(has({selector}.{field}) ? size({selector}.{field}) : 0)" for field in ("matchLabels", "matchExpressions")
    )


class NodeSelector(Model):
    """Nodes by their labels; all that is said must hold."""

    match_labels: Annotated[KubernetesLabels, Field(max_length=MAX_REQUIREMENTS)] = Field(
        default={}, description="Labels with their values."
    )
    match_expressions: tuple[NodeRequirement, ...] = Field(
        default=(), max_length=MAX_REQUIREMENTS, description="Requirements that labels cannot say by their value."
    )


def _override(model: type[Model], name: str) -> type[Model]:
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
    return create_model(name, __base__=Model, __doc__=model.__doc__, **fields)


PoolAgent: Any = _override(PerPool, "PoolAgent")
PoolRules: Any = _override(AlertRules, "PoolRules")


class PoolAlerts(Model):
    """The pool's own settings of alerts."""

    rules: PoolRules = Field(default=PoolRules(), description="Settings of the shipped alerts, over the target's.")


MAX_POOLS = 16
MAX_TERMS = 64


class Pool(Model):
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
                f"{_size('self')} > 0",
                "a pool needs a label or an expression to select nodes by; settings for all nodes belong in spec.agent",
            ),
            rule(
                f"{_size('self')} <= {MAX_REQUIREMENTS}",
                f"a pool takes at most {MAX_REQUIREMENTS} labels and expressions",
            ),
        ),
    )
    agent: PoolAgent = Field(default=PoolAgent(), description="How the exporter runs there, over spec.agent.")
    alerts: PoolAlerts = Field(default=PoolAlerts(), description="The pool's own settings of alerts.")


# The API server's CEL has sums and no products, so the limit is on the sum of logarithms (base 2, in thousandths).
_LOG2 = [0, 0, 1000, 1585, 2000, 2322, 2585, 2808, 3000]
_TERMS = rule(
    f"self.map(pool, {_size('pool.nodeSelector')})"
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
                    f"{_size('self')} <= {MAX_REQUIREMENTS}",
                    f"a target takes at most {MAX_REQUIREMENTS} labels and expressions",
                )
            )
        ),
    ] = Field(default=NodeSelector(), description="The nodes to watch. Default: all Linux nodes.")
    agent: Agent = Field(default=Agent(), description="How the exporter runs on each node.")
    pools: Annotated[
        tuple[Pool, ...],
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
    monitor: Annotated[
        Monitor,
        Field(
            json_schema_extra=cel(
                rule(
                    "duration(has(self.scrapeTimeout) ? self.scrapeTimeout : '10s') <= "
                    "duration(has(self.interval) ? self.interval : '15s')",
                    "scrapeTimeout (default 10s) must not be longer than interval (default 15s); set both",
                )
            )
        ),
    ] = Field(default=Monitor(), description="How Prometheus scrapes the agents.")
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
