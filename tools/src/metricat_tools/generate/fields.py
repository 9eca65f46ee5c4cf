"""The page of all fields of a MonitoringTarget, from the same schema that the API server is given."""

from collections.abc import Iterator

from metricat_operator.api.status import Status
from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate.crd import Schema, structural

_NOTE = """# MonitoringTarget: every field

<!-- Generated from operator/src/metricat_operator/api by `make generate`; do not edit. -->

`metricat.dev/v1alpha1`, short name `mtarget`. Every field may be left out, but those that are marked *needed*. Defaults
are the operator's: the API server does not write them into your object
([why](../design/0001-no-defaults-in-the-schema.md)). `kubectl explain mtarget.spec --recursive` tells the same. What is
said to be refused is refused by the API server at apply, in these words.
"""
_AS_ELSEWHERE = {
    "spec.pools[].agent": "The fields of [`spec.agent`](#specagent) but `web`: what is left out is as there.",
    "spec.pools[].alerts": "`rules`, as in [`spec.alerts.rules`](#specalertsrules) for alerts about nodes: what is "
    "left out is as there.",
}
"""Sections that would only repeat another."""
_RULES = "spec.alerts.rules"


def page() -> str:
    """The page, a section for each object."""
    parts = [_NOTE]
    for name, model in (("spec", Spec), ("status", Status)):
        parts += _sections(name, structural(model))
    return "\n".join(parts)


def _sections(path: str, schema: Schema) -> Iterator[str]:
    """The section of an object, then those of the objects in it."""
    yield f"## {path}\n"
    if path in _AS_ELSEWHERE:
        yield f"{_AS_ELSEWHERE[path]}\n"
        return
    if text := _cell(_split(schema)[0]):
        yield f"{text}\n"
    if refusals := [f"- {said}" for said in _refusals(schema)]:
        yield "Refused with:\n\n" + "\n".join(refusals) + "\n"
    if path == _RULES:
        yield _alerts(schema)
        return
    needed = schema.get("required", ())
    rows = [_row(path, name, field, needed=name in needed) for name, field in schema["properties"].items()]
    yield "\n".join(["| field | type | default | what it says |", "| --- | --- | --- | --- |", *rows]) + "\n"
    for name, field in schema["properties"].items():
        inner, below = _inner(field)
        if "properties" in inner and not _is_deprecated(field):
            yield from _sections(f"{path}.{name}{below}", inner)


def _row(path: str, name: str, field: Schema, *, needed: bool) -> str:
    inner, below = _inner(field)
    text, default = _split(field)
    if field is not inner and "properties" not in inner:
        text = f"{text} {_split(inner)[0]}".strip()
    if ("properties" not in inner or inner is not field) and (refusals := "; ".join(_refusals(field))):
        text = f"{text} Refused with: {refusals}."
    has_section = "properties" in inner and not _is_deprecated(field)
    where = f"[`{name}`](#{_anchor(f'{path}.{name}{below}')})" if has_section else f"`{name}`"
    return f"| {where} | {_cell(_kind(field))} | {'*needed*' if needed else _cell(default)} | {_cell(text)} |"


def _is_deprecated(field: Schema) -> bool:
    return str(field.get("description", "")).startswith("Deprecated: ")


def _alerts(schema: Schema) -> str:
    """The shipped alerts: each has fields of the same names, so their defaults tell more than fields would."""
    labels = next(iter(schema["properties"].values()))["properties"]["labels"]
    rows = [
        f"Each also has `labels`, a {_kind(labels)}. {_split(labels)[0]} Refused with: {'; '.join(_refusals(labels))}.",
        "",
        "| alert | fields, with their defaults |",
        "| --- | --- |",
    ]
    for name, alert in schema["properties"].items():
        levels = [
            f"`{level}: {{{', '.join(f'{key}: {_split(field)[1]}' for key, field in sub['properties'].items())}}}`"
            for level, sub in alert["properties"].items()
            if level != "labels"
        ]
        rows.append(f"| [`{name}`](../runbooks/{name}.md) | {' '.join(levels)} |")
    return "\n".join(rows) + "\n"


def _inner(field: Schema) -> tuple[Schema, str]:
    """What a list is of, and how a path says so."""
    return (field["items"], "[]") if "items" in field else (field, "")


def _kind(field: Schema) -> str:
    if "items" in field:
        return f"list of {_kind(field['items'])}s" if "enum" not in field["items"] else f"list: {_kind(field['items'])}"
    if "enum" in field:
        return " or ".join(f"`{word}`" for word in field["enum"])
    if "x-kubernetes-int-or-string" in field:
        return "integer or string"
    if "additionalProperties" in field:
        return f"map of {_kind(field['additionalProperties'])}s"
    limits = " to ".join(str(field[limit]) for limit in ("minimum", "maximum") if limit in field)
    return f"{field['type']}, {limits}" if "maximum" in field else str(field["type"])


def _split(schema: Schema) -> tuple[str, str]:
    """The description and the default at its end."""
    text, _, default = str(schema.get("description", "")).partition("Default: ")
    return text.strip(), default.strip().removesuffix(".")


def _refusals(schema: Schema) -> list[str]:
    """What the API server says, without the patterns, which people do not read."""
    return [rule["message"].partition(", matching ^")[0] for rule in schema.get("x-kubernetes-validations", [])]


def _cell(text: str) -> str:
    """Text in a table of Markdown, none of whose signs it means."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("__", "\\_\\_")


def _anchor(path: str) -> str:
    """As the common renderers of Markdown make it of a heading."""
    return "".join(letter for letter in path.lower() if letter.isalnum() or letter in "-_")
