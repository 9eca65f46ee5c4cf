"""Node selectors of a target and its pools."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from metricat_operator.api.fields import LABEL_VALUE, KubernetesLabels, LabelKey, Model, cel, rule

MAX_REQUIREMENTS = 8


class NodeRequirement(Model):
    """A requirement on one label of a node."""

    key: LabelKey = Field(description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label is compared. NotIn and DoesNotExist also match a node without the label."
    )
    values: tuple[Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)], ...] = Field(
        default=(), max_length=32, description="The values for In and NotIn. Exists and DoesNotExist take none."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "In and NotIn need values. Exists and DoesNotExist take none.",
            )
        )
    }


class NodeSelector(Model):
    """Nodes by their labels. All requirements must hold."""

    match_labels: Annotated[KubernetesLabels, Field(max_length=MAX_REQUIREMENTS)] = Field(
        default={}, description="Labels with the values that a node must have."
    )
    match_expressions: tuple[NodeRequirement, ...] = Field(
        default=(), max_length=MAX_REQUIREMENTS, description="Further requirements on labels."
    )


def size(selector: str) -> str:
    """Return the CEL expression for the number of labels and expressions of a node selector."""
    return " + ".join(
        f"(has({selector}.{field}) ? size({selector}.{field}) : 0)" for field in ("matchLabels", "matchExpressions")
    )
