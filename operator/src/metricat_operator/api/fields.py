"""The types of the API's fields, each with its schema and its check."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from metricat_operator.naming import MAX_NAME, SUBDOMAIN
from metricat_rules.durations import SPEC_PATTERN, spec_seconds


@dataclass(frozen=True)
class DeprecatedName:
    """An old name of a field. The schema has both names; `deprecations` replaces it in a spec."""

    old: str
    new: str
    values: Mapping[str, object] = field(default_factory=dict)
    """Values of the old field, each with its new value; empty if both fields have the same values."""

    @property
    def clash(self) -> str:
        """The message for a spec that has both names."""
        return f"{self.old} is the deprecated name of {self.new}. Remove {self.old}."

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Add the old field to the schema of an object that has the new one."""
        same = {key: value for key, value in schema["properties"][self.new].items() if key != "default"}
        old = {"type": "string", "enum": list(self.values)} if self.values else same
        schema["properties"][self.old] = old | {"description": f"Deprecated: use {self.new}."}
        check = rule(f"!(has(self.{self.old}) && has(self.{self.new}))", self.clash)
        schema["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", ()), check]


class Model(BaseModel):
    """The base of every API type: camelCase in YAML, frozen, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True)

    deprecated_names: ClassVar[tuple[DeprecatedName, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON schema, with the deprecated names of fields."""
        schema = handler(core_schema)
        for name in cls.deprecated_names:
            name.add_to(handler.resolve_ref_schema(schema))
        return schema


def rule(check: str, message: str, **more: str) -> dict[str, str]:
    """Return a CEL rule that the API server checks at apply; see `cel` below."""
    return {"rule": check, "message": message, **more}


def cel(*rules: dict[str, str]) -> dict[str, Any]:
    """Return the schema extension for validations in CEL (kubernetes.io/docs/reference/using-api/cel)."""
    return {"x-kubernetes-validations": list(rules)}


def checked(*rules: dict[str, str]) -> type[Model]:
    """Return a base class for generated models that adds these CEL rules to their schema."""
    return _with(cel(*rules) if rules else {}, ())


def checked_as(model: type[Model]) -> type[Model]:
    """Return a base class for models generated from `model`, with its CEL rules and its deprecated names."""
    return _with(model.model_config.get("json_schema_extra") or {}, model.deprecated_names)


def _with(extra: Any, old_names: tuple[DeprecatedName, ...]) -> type[Model]:
    class Checked(Model):
        model_config = Model.model_config | {"json_schema_extra": extra}
        deprecated_names = old_names

    return Checked


def is_given(field: str) -> str:
    """Return the CEL expression for a text field that is set and not empty."""
    return f"(has(self.{field}) && self.{field} != '')"


_MOST_CHARACTERS = 20


def is_duration(value: str) -> str:
    """Return the CEL expression for a valid duration. CEL's `duration` raises an error for other texts."""
    return f"{value}.matches('{SPEC_PATTERN}')"


def _duration(text: str) -> str:
    spec_seconds(text)  # raises DurationError
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"longer than {_MOST_CHARACTERS} characters; use for example 30s, 5m or 1h30m")
    return text


@dataclass(frozen=True)
class _DurationSchema:
    """Adds what the API server checks without CEL. Pydantic's own check of a pattern shows the pattern to the user."""

    pattern: str = ""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema |= {"minLength": 2, "maxLength": _MOST_CHARACTERS}
        return schema | ({"pattern": self.pattern} if self.pattern else {})


Duration = Annotated[str, AfterValidator(_duration), _DurationSchema(SPEC_PATTERN)]
_NOT_ZERO = "must be greater than zero, for example 15s"


def _longer_than_zero(duration: str) -> str:
    if not spec_seconds(duration):
        raise ValueError(_NOT_ZERO)
    return duration


Interval = Annotated[
    str,
    AfterValidator(_duration),
    AfterValidator(_longer_than_zero),
    _DurationSchema(),
    Field(
        json_schema_extra=cel(
            rule(is_duration("self"), "must be a duration such as 30s, 5m or 1h30m"),
            rule("self.matches('[1-9]')", _NOT_ZERO),
        )
    ),
]
"""A duration that must not be zero, because Prometheus replaces zero by its own default."""

_SUFFIX = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def quantity(text: str) -> Decimal:
    """Return the value of a Kubernetes quantity such as `100m`, `0.5` or `64Mi`.

    Raises:
        ValueError: the text is not a quantity.
    """
    found = re.fullmatch(r"([+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]{1,3})?)([a-zA-Z]*)", text)
    if found and found[2] in _SUFFIX and not (found[2] and "e" in found[1].lower()):
        return Decimal(found[1]) * _SUFFIX[found[2]]
    raise ValueError(f"{text!r} is not a quantity; use for example 100m, 0.5 or 64Mi")


def _quantity(value: str | int) -> str:
    if quantity(str(value)) < 0:
        raise ValueError(f"{str(value)!r} is negative. Use zero or more.")
    return str(value)


INT_OR_STRING = {"x-kubernetes-int-or-string": True}

IN_LIST = "in-list"
"""Schema keywords that replace CEL rules in the items of a list.

The API server cannot bound the length of an int-or-string, and rejects a rule on many of them as too expensive.
"""
_QUANTITY = r"^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?$"
_MOST = 2**31 - 1
_PERCENTAGE = r"^(100|[1-9][0-9]?)%$"

Quantity = Annotated[
    str | StrictInt,
    AfterValidator(_quantity),
    Field(
        json_schema_extra={
            **INT_OR_STRING,
            **cel(
                rule(
                    "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('0')) >= 0",
                    "must be a quantity such as 100m, 0.5 or 64Mi, not below zero",
                )
            ),
            IN_LIST: {"pattern": _QUANTITY, "minimum": 0},
        }
    ),
]

IntOrPercent = Annotated[
    Annotated[StrictInt, Field(ge=1, le=_MOST)] | Annotated[str, StringConstraints(pattern=_PERCENTAGE)],
    Field(
        json_schema_extra={
            **INT_OR_STRING,
            **cel(
                rule(
                    f"type(self) == int ? self >= 1 && self <= {_MOST} : self.matches('{_PERCENTAGE}')",
                    "must be a whole number, 1 or more, or a percentage from 1% to 100%",
                )
            ),
            IN_LIST: {"pattern": _PERCENTAGE, "minimum": 1, "maximum": _MOST},
        }
    ),
]


_ONLY_PYTHON = re.compile(
    r"\\[1-9]"  # a reference to a group
    r"|\(\?(?:[=!>#(]|<[=!]|P=|[a-zA-Z-]*[auxL])"  # assertions, atomic groups, conditions and flags
    r"|(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\+"  # possessive
    r"|\{(?:[0-9]*,)?(?:[1-9][0-9]{4,}|[2-9][0-9]{3}|1[1-9][0-9]{2}|10[1-9][0-9]|100[1-9]),?[0-9]*\}"  # above 1000
)
"""Syntax of Python that RE2 lacks. The API server checks with RE2."""
_LITERAL = re.compile(r"\\[^1-9]|\[\^?\]?(?:\\.|[^]\\])*\]", re.DOTALL)
"""An escaped character or a set."""


def regex(value: str, *, of_bytes: bool = False) -> str:
    """Return a regular expression for text or bytes; raise ValueError for one that the agent or the API server rejects.

    The agent also rejects expressions for which Python warns, such as `[[:alpha:]]`: their meaning in Go differs.
    """
    if found := _ONLY_PYTHON.search(_LITERAL.sub("x", value)):
        raise ValueError(f"{value!r} is not a regular expression of RE2: it has no {found[0]!r}. Use other syntax.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(value.encode() if of_bytes else value)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}. Correct it or remove the field.") from None
    return value


Regex = Annotated[
    str,
    AfterValidator(regex),
    Field(
        max_length=1024,
        # CEL cannot check a pattern, but evaluating an invalid pattern fails with an error that describes the fault.
        json_schema_extra=cel(rule("''.matches(self) ? true : true", "must be a regular expression")),
    ),
]

ObjectName = Annotated[str, StringConstraints(pattern=rf"^({SUBDOMAIN})?$", max_length=MAX_NAME)]
"""The name of a Kubernetes object (an RFC 1123 subdomain); empty: no object."""
OBJECT_NAME = rf"^{SUBDOMAIN}$"
DATA_KEY = r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"
"""A key in a Secret. The API server rejects `.` and keys that begin with `..`."""

PORT = r":(6553[0-5]|655[0-2][0-9]|65[0-4][0-9][0-9]|6[0-4][0-9][0-9][0-9]|[1-5][0-9][0-9][0-9][0-9]|[1-9][0-9]{0,3})"
"""A colon and a TCP port from 1 to 65535."""

NODE_PATH = r"^(/([^/:.\x00-\x1f\x7f][^/:\x00-\x1f\x7f]{0,254}|\.[^/:.\x00-\x1f\x7f][^/:\x00-\x1f\x7f]{0,253}))+$"
"""An absolute path without `:`, control characters, the parts `.` and `..`, and a slash at its end.

A file name has at most 255 bytes.
"""

LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
LABEL_KEY = rf"^({SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
_MAX_PREFIX = 253
_LONG_PREFIX = f"the prefix of the key, before the slash, has more than {_MAX_PREFIX} characters. Shorten it."


def _has_short_prefix(key: str) -> str:
    if key.find("/") > _MAX_PREFIX:
        raise ValueError(_LONG_PREFIX)
    return key


LabelKey = Annotated[
    str,
    StringConstraints(pattern=LABEL_KEY, max_length=_MAX_PREFIX + len("/") + 63),
    AfterValidator(_has_short_prefix),
    Field(json_schema_extra=cel(rule(f"self.indexOf('/') <= {_MAX_PREFIX}", _LONG_PREFIX))),
]
PROMETHEUS_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"


def keys(pattern: str, what: str) -> AfterValidator:
    """Return a validator that requires every key of a map to match the pattern; `what` is the key's name in errors."""

    def check(mapping: dict[str, str]) -> dict[str, str]:
        for key in mapping:
            if not re.search(pattern.removesuffix("$") + r"\Z", key) or key.find("/") > _MAX_PREFIX:
                raise ValueError(f"{key!r} is not a {what}")
        return mapping

    return AfterValidator(check)


def key_rule(pattern: str, what: str) -> dict[str, str]:
    """Return the CEL rule that every key of a map matches the pattern; `what` is the key's name in errors."""
    valid = f"key.matches('{pattern}')"
    if pattern == LABEL_KEY:
        valid = f"({valid} && key.indexOf('/') <= {_MAX_PREFIX})"
    return rule(
        f"self.all(key, {valid})",
        f"every key must be a {what}, matching {pattern}",
        messageExpression=f"'key ' + self.filter(key, !{valid})[0] + ' is not a {what}'",
    )


KubernetesLabels = Annotated[
    dict[str, Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)]],
    keys(LABEL_KEY, "Kubernetes label key"),
    Field(max_length=64, json_schema_extra=cel(key_rule(LABEL_KEY, "Kubernetes label key"))),
]
