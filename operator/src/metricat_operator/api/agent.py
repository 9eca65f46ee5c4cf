"""`spec.agent`: how the exporter runs on each node, and what of it a pool may set for its own nodes."""

from typing import Literal, Self

from pydantic import Field, model_validator

from metricat_operator.api.collectors import Collectors
from metricat_operator.api.fields import (
    IN_LIST,
    LABEL_KEY,
    LABEL_VALUE,
    IntOrPercent,
    Model,
    ObjectName,
    Quantity,
    cel,
    is_given,
    rule,
)
from metricat_operator.api.labels import SeriesLabels
from metricat_operator.api.web import WebSettings

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
            rule(f"!{is_given('value')} || !has(self.operator) || self.operator == 'Equal'", _EXISTS),
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


class ResourceAmounts(Model):
    """Amounts of what a node has to share."""

    cpu: Quantity | None = Field(default=None, description="Cores, such as 100m.")
    memory: Quantity | None = Field(default=None, description="Bytes, such as 64Mi.")


def _within_limit(name: str) -> dict[str, str]:
    """What is asked for by name in both places; the defaults, and what a pool inherits, are looked at when parsed."""
    where, limit = f"self.requests.{name}", f"self.limits.{name}"
    return rule(
        f"!has(self.requests) || !has(self.limits) || !has({where}) || !has({limit}) || "
        f"quantity(string({where})).compareTo(quantity(string({limit}))) <= 0",
        f"requests.{name} is more than limits.{name}; raise the limit or ask for less",
    )


class Resources(Model):
    """CPU and memory of one agent."""

    requests: ResourceAmounts = Field(
        default=ResourceAmounts(cpu="20m", memory="40Mi"),
        description="What the scheduler sets aside. Default: cpu 20m, memory 40Mi; "
        "what is set here takes the place of both.",
    )
    limits: ResourceAmounts = Field(
        default=ResourceAmounts(memory="128Mi"),
        description="What the agent may not exceed. Default: memory 128Mi; what is set here takes its place.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": {**cel(_within_limit("cpu"), _within_limit("memory")), IN_LIST: {"type": "object"}}
    }


class UpdateStrategy(Model):
    """How a new agent rolls out."""

    max_unavailable: IntOrPercent = Field(
        default="10%", description="How many nodes may be without an agent at once, a number or a percentage."
    )


class AgentPoolSettings(Model):
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


class AgentSettings(AgentPoolSettings):
    """How the exporter runs on each node.

    What a pool may not set is here: Prometheus is told once for all agents how to ask them.
    """

    web: WebSettings = Field(
        default=WebSettings(),
        description="TLS, client certificates and a password, by names of Secrets. Not set by pools.",
    )
