"""Nodes by their labels, as a target and its pools select them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from metricat_operator.api.fields import LABEL_KEY, LABEL_VALUE, KubernetesLabels, Model, cel, rule

MAX_REQUIREMENTS = 8


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


class NodeSelector(Model):
    """Nodes by their labels; all that is said must hold."""

    match_labels: Annotated[KubernetesLabels, Field(max_length=MAX_REQUIREMENTS)] = Field(
        default={}, description="Labels with their values."
    )
    match_expressions: tuple[NodeRequirement, ...] = Field(
        default=(), max_length=MAX_REQUIREMENTS, description="Requirements that labels cannot say by their value."
    )


def size(selector: str) -> str:
    """CEL for the number of labels and expressions of a node selector."""
    return " + ".join(
        f"(has({selector}.{field}) ? size({selector}.{field}) : 0)" for field in ("matchLabels", "matchExpressions")
    )
