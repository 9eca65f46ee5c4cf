"""`spec.agent`: settings of the agent on each node, and those of them that a pool may set for its nodes."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, model_validator

from metricat_operator.api.collectors import Collectors
from metricat_operator.api.fields import (
    IN_LIST,
    LABEL_VALUE,
    NODE_PATH,
    IntOrPercent,
    LabelKey,
    Model,
    ObjectName,
    Quantity,
    cel,
    is_given,
    rule,
)
from metricat_operator.api.labels import RESERVED_SERIES_LABELS, SeriesLabels
from metricat_operator.api.web import WebSettings

_KEYLESS = "a toleration without a key matches every taint and needs operator Exists"
_EXISTS = "operator Exists takes no value. Remove value, or set operator to Equal."
_ONLY_NO_EXECUTE = "tolerationSeconds needs effect NoExecute"


class Toleration(Model):
    """A toleration, as in a pod's spec."""

    key: LabelKey | None = Field(default=None, description="The taint's key. Without it, every key matches.")
    operator: Literal["Exists", "Equal"] | None = Field(default=None, description="Exists or Equal. Default: Equal.")
    value: str | None = Field(
        default=None, pattern=LABEL_VALUE, max_length=63, description="The taint's value, with operator Equal."
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect. Without it, every effect matches."
    )
    toleration_seconds: StrictInt | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="How many seconds a NoExecute taint is tolerated. Default: without limit.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("has(self.key) || (has(self.operator) && self.operator == 'Exists')", _KEYLESS),
            rule(f"!{is_given('value')} || !has(self.operator) || self.operator == 'Equal'", _EXISTS),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                _ONLY_NO_EXECUTE,
            ),
        )
    }

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        """Check the same rules as the CRD; raise ValueError for an invalid combination."""
        if self.key is None and self.operator != "Exists":
            raise ValueError(_KEYLESS)
        if self.value and self.operator == "Exists":
            raise ValueError(_EXISTS)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(_ONLY_NO_EXECUTE)
        return self


class ResourceAmounts(Model):
    """Amounts of a node's resources."""

    cpu: Quantity | None = Field(default=None, description="Cores, such as 100m.")
    memory: Quantity | None = Field(default=None, description="Bytes, such as 64Mi.")


def _within_limit(name: str) -> dict[str, str]:
    """Return the rule for one resource that has both a request and a limit.

    The operator compares defaults and values that a pool inherits when it parses the spec.
    """
    where, limit = f"self.requests.{name}", f"self.limits.{name}"
    return rule(
        f"!has(self.requests) || !has(self.limits) || !has({where}) || !has({limit}) || "
        f"quantity(string({where})).compareTo(quantity(string({limit}))) <= 0",
        f"requests.{name} is more than limits.{name}. Raise the limit or lower the request.",
    )


LEAST_MEMORY = "16Mi"
NOT_ENOUGH_MEMORY = (
    f"The agent needs at least {LEAST_MEMORY}. A number without a suffix is in bytes: use for example 128Mi."
)
_MEMORY = "self.limits.memory"


class Resources(Model):
    """CPU and memory of one agent."""

    requests: ResourceAmounts = Field(
        default=ResourceAmounts(cpu="20m", memory="40Mi"),
        description="Amounts that the scheduler reserves. Any value here replaces both defaults. Default: cpu 20m, "
        "memory 40Mi.",
    )
    limits: ResourceAmounts = Field(
        default=ResourceAmounts(memory="128Mi"),
        description="Amounts that the agent may not exceed. Any value here replaces the default. Default: memory "
        "128Mi.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": {
            **cel(
                _within_limit("cpu"),
                _within_limit("memory"),
                rule(
                    f"!has(self.limits) || !has({_MEMORY}) || !isQuantity(string({_MEMORY})) || "
                    f"quantity(string({_MEMORY})).compareTo(quantity('{LEAST_MEMORY}')) >= 0",
                    f"limits.memory is too low. {NOT_ENOUGH_MEMORY}",
                ),
            ),
            IN_LIST: {"type": "object"},
        }
    }


class UpdateStrategy(Model):
    """Rolling update of the agents."""

    max_unavailable: IntOrPercent = Field(
        default="10%",
        description="How many nodes of a pool an update may leave without an agent at once: a number or a percentage.",
    )


_OWN_PATHS = "^/(bin|dev|etc|host|lib|lib64|opt|proc|sbin|sys|tmp|usr)(/|$)"
_OWN_PATH = "The agent's container already uses this path. Choose a path such as /var/lib/NAME or /extra/NAME."


def _free_path(path: str) -> str:
    if re.match(_OWN_PATHS, path):
        raise ValueError(_OWN_PATH)
    return path


class ExtraMount(Model):
    """A directory or file of the node, mounted read-only."""

    host_path: str = Field(pattern=NODE_PATH, max_length=512, description="Path on the node. It must exist.")
    mount_path: Annotated[str, AfterValidator(_free_path)] = Field(
        pattern=NODE_PATH,
        max_length=512,
        description="Path in the agent's container.",
        json_schema_extra=cel(rule(f"!self.matches('{_OWN_PATHS}')", _OWN_PATH)),
    )


class AgentPoolSettings(Model):
    """Settings of the agent on each node, without those that a pool cannot set."""

    collectors: Collectors = Field(default=Collectors(), description="The agent's collectors.")
    port: StrictInt = Field(
        default=9100,
        ge=1,
        le=65535,
        description="TCP port of the agent in the pod's network namespace, so it cannot conflict with a port of the "
        "node.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(Toleration(operator="Exists"),),
        max_length=64,
        description="Taints that the agent tolerates.",
    )
    resources: Resources = Field(default=Resources(), description="CPU and memory of one agent.")
    priority_class_name: ObjectName = Field(
        default="", description="The PriorityClass of the agent's pods. Default: none."
    )
    update_strategy: UpdateStrategy = Field(default=UpdateStrategy(), description="How the agents are updated.")
    extra_mounts: tuple[ExtraMount, ...] = Field(
        default=(),
        max_length=16,
        description="Directories or files of the node to mount read-only. /proc, /sys and / are always mounted.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["mountPath"]},
    )
    extra_labels: SeriesLabels = Field(
        default={},
        description="Labels for every series and alert, for example environment: production. These labels "
        f"are reserved for Metricat: {', '.join(sorted(RESERVED_SERIES_LABELS))}.",
    )


class AgentSettings(AgentPoolSettings):
    """Settings of the agent on each node.

    A pool cannot set `web`: one ServiceMonitor configures the scrapes of all agents.
    """

    web: WebSettings = Field(
        default=WebSettings(),
        description="TLS, client certificates and a password, by names of Secrets. Pools cannot set it.",
    )
