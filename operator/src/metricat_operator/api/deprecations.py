"""Deprecated names of a spec's fields, replaced by the new ones before the spec is validated. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from metricat_operator.api.fields import DeprecatedName, Model

Place = tuple[str | int, ...]
"""Path of a field or a list's item, as Pydantic writes it."""


@dataclass(frozen=True)
class Replaced:
    """A deprecated name that a spec uses."""

    parent: Place
    """The object that has the field."""
    name: DeprecatedName
    error: str = ""
    """Why the value cannot be used under the new name."""

    @property
    def place(self) -> Place:
        """The path of the field under its new name."""
        return (*self.parent, self.name.new)

    @property
    def warning(self) -> str:
        """The warning about the deprecated name, without the field's path."""
        return f"is deprecated. Use {self.name.new}."


def replace_deprecated(value: Any, model: type[Model], parent: Place = ()) -> Iterator[Replaced]:
    """Rename the deprecated fields of a model's value in place, at every depth, and yield each one found."""
    if not isinstance(value, dict):
        return
    for name in model.deprecated_names:
        if name.old in value:
            error = _rename(value, name)
            yield Replaced(parent, name, error)
    for field_name, field in model.model_fields.items():
        key, inner = field.alias or field_name, _model_of(field.annotation)
        if inner is None or key not in value:
            continue
        if isinstance(value[key], list):
            for index, item in enumerate(value[key]):
                yield from replace_deprecated(item, inner, (*parent, key, index))
        else:
            yield from replace_deprecated(value[key], inner, (*parent, key))


def _rename(value: dict[str, Any], name: DeprecatedName) -> str:
    """Rename one field in place; return an error if this is not possible."""
    if name.new in value:
        return name.clash
    old = value.pop(name.old)
    if not name.values:
        value[name.new] = old
    elif isinstance(old, str) and old in name.values:
        value[name.new] = name.values[old]
    else:
        return f"must be {' or '.join(name.values)} (it is {old!r})"
    return ""


def _model_of(annotation: Any) -> type[Model] | None:
    """Return the model class of a field, or of the items if it is a list."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_of(part))), None)
