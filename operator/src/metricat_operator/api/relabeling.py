"""Relabelling of scraped samples, as in a ServiceMonitor.

Relabelling of targets is not offered: it could send Prometheus, with its credentials, to any address.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, StringConstraints, model_validator

from metricat_operator.api.fields import PROMETHEUS_LABEL, Model, cel, rule

LabelName = Annotated[str, StringConstraints(pattern=PROMETHEUS_LABEL, max_length=128)]

_TARGET = r"^([a-zA-Z_]|\$(\{\w+\}|\w+))+\w*$"
"""A label's name, which may contain groups of the regular expression."""
_WRITING = ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
_NO_TARGET = "replace (the default), hashmod, lowercase, uppercase, keepequal and dropequal need targetLabel"
_NO_MODULUS = "hashmod needs modulus, the number of parts"
_LABELS = ("labeldrop", "labelkeep")
_MORE_THAN_REGEX = "labeldrop and labelkeep take only regex"
_EQUAL = ("keepequal", "dropequal")
_MORE_THAN_LABELS = "keepequal and dropequal take only sourceLabels and targetLabel"
_ACTION = "(has(self.action) ? self.action : 'replace')"


class Relabeling(Model):
    """A change to samples by their labels (prometheus.io/docs, relabel_config)."""

    source_labels: tuple[LabelName, ...] = Field(
        default=(),
        max_length=16,
        description="Labels whose values are joined and compared; __name__ is the metric's name.",
    )
    separator: str | None = Field(
        default=None, max_length=16, description="Text between the joined values. Default: ;."
    )
    regex: str | None = Field(
        default=None,
        max_length=1024,
        description="Regular expression (RE2) that must match the whole joined value. Default: (.*).",
        json_schema_extra=cel(rule("''.matches(self) ? true : true", "must be a regular expression")),
    )
    modulus: StrictInt | None = Field(default=None, ge=1, le=2**31 - 1, description="Number of parts for hashmod.")
    target_label: str | None = Field(
        default=None, pattern=_TARGET, max_length=128, description="The label to write or to compare with."
    )
    replacement: str | None = Field(
        default=None,
        max_length=1024,
        description="The value to write (labelmap: the new label); $1 is the first group of regex. Default: $1.",
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
    ] = Field(default="replace", description="What happens to a matching sample.")

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(f"!({_ACTION} in {list(_WRITING)!r}) || has(self.targetLabel)", _NO_TARGET),
            rule(f"{_ACTION} != 'hashmod' || has(self.modulus)", _NO_MODULUS),
            rule(
                f"!({_ACTION} in {list(_LABELS)!r}) || !(has(self.sourceLabels) || has(self.targetLabel) || "
                "has(self.replacement) || has(self.separator) || has(self.modulus))",
                _MORE_THAN_REGEX,
            ),
            rule(
                f"!({_ACTION} in {list(_EQUAL)!r}) || !(has(self.regex) || has(self.replacement) || "
                "has(self.separator) || has(self.modulus))",
                _MORE_THAN_LABELS,
            ),
        )
    }

    @model_validator(mode="after")
    def _fits_its_action(self) -> Self:
        """Check the same rules as the CRD; raise ValueError for an invalid combination."""
        written = self.model_fields_set
        if self.action in _WRITING and "target_label" not in written:
            raise ValueError(_NO_TARGET)
        if self.action == "hashmod" and "modulus" not in written:
            raise ValueError(_NO_MODULUS)
        if self.action in _LABELS and written - {"action", "regex"}:
            raise ValueError(_MORE_THAN_REGEX)
        if self.action in _EQUAL and written - {"action", "source_labels", "target_label"}:
            raise ValueError(_MORE_THAN_LABELS)
        return self
