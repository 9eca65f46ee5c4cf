"""A relabelling of scraped samples, as in a ServiceMonitor.

There is none of targets: it could send Prometheus, with its credentials, to any address.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from metricat_operator.api.fields import PROMETHEUS_LABEL, Model, cel, rule

LabelName = Annotated[str, StringConstraints(pattern=PROMETHEUS_LABEL, max_length=128)]

_TARGET = r"^([a-zA-Z_]|\$(\{\w+\}|\w+))+\w*$"
"""A label's name, in which groups of the expression may stand."""
_WRITING = ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
_ACTION = "(has(self.action) ? self.action : 'replace')"


class Relabeling(Model):
    """Changes or drops samples by their labels (prometheus.io/docs, relabel_config)."""

    source_labels: tuple[LabelName, ...] = Field(
        default=(), max_length=16, description="Labels whose values, joined, are looked at; __name__ is the metric."
    )
    separator: str | None = Field(default=None, max_length=16, description="What joins the values. Default: ;.")
    regex: str | None = Field(
        default=None,
        max_length=1024,
        description="What the whole joined value must match, in RE2's syntax. Default: (.*).",
        json_schema_extra=cel(rule("''.matches(self) ? true : true", "must be a regular expression")),
    )
    modulus: int | None = Field(default=None, ge=1, description="Into how many parts hashmod divides.")
    target_label: str | None = Field(
        default=None, pattern=_TARGET, max_length=128, description="The label that is written, or compared with."
    )
    replacement: str | None = Field(
        default=None, max_length=1024, description="What is written; $1 is the first group of regex. Default: $1."
    )
    action: Literal[
        "replace",
        "keep",
        "drop",
        "hashmod",
        "labelmap",
        "labeldrop",
        "labelkeep",
        "lowercase",
        "uppercase",
        "keepequal",
        "dropequal",
    ] = Field(default="replace", description="What is done to a sample that matches.")

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                f"!({_ACTION} in {list(_WRITING)!r}) || has(self.targetLabel)",
                "replace (the default), hashmod, lowercase, uppercase, keepequal and dropequal need targetLabel",
            ),
            rule(f"{_ACTION} != 'hashmod' || has(self.modulus)", "hashmod needs modulus, the number of parts"),
            rule(
                f"!({_ACTION} in ['labeldrop', 'labelkeep']) || !(has(self.sourceLabels) || has(self.targetLabel) || "
                "has(self.replacement) || has(self.separator) || has(self.modulus))",
                "labeldrop and labelkeep take regex and nothing else",
            ),
            rule(
                f"!({_ACTION} in ['keepequal', 'dropequal']) || !(has(self.regex) || has(self.replacement) || "
                "has(self.separator) || has(self.modulus))",
                "keepequal and dropequal take sourceLabels and targetLabel and nothing else",
            ),
        )
    }
