"""Generate the reference page of a MonitoringTarget's fields, from the schema of the CRD."""

from collections.abc import Iterator

from metricat_operator.api.status import Status
from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate.crd import Schema, structural

_NOTE = """# MonitoringTarget: every field

<!-- Generated from operator/src/metricat_operator/api by `make generate`; do not edit. -->

`metricat.dev/v1alpha1`, short name `mtarget`. Every field is optional, except those marked *required*. The operator
applies the defaults. The API server does not write them into your object: see
[design note 0001](../design/0001-no-defaults-in-the-schema.md). `kubectl explain mtarget.spec` prints the same
descriptions. The text after *Rejected with* is the message with which the API server rejects an invalid object.
"""
_AS_ELSEWHERE = {
    "spec.pools[].agent": "The fields of [`spec.agent`](#specagent) except `web`. "
    "An unset field has its value in `spec.agent`.",
    "spec.pools[].alerts": "`rules`, as in [`spec.alerts.rules`](#specalertsrules) for alerts about nodes. "
    "An unset field has its value in `spec.alerts.rules`.",
}
"""Sections that are left out because they would repeat another section."""
_RULES = "spec.alerts.rules"


def page() -> str:
    """Return the page, with a section for each object."""
    parts = [_NOTE]
    for name, model in (("spec", Spec), ("status", Status)):
        parts += _sections(name, structural(model))
    return "\n".join(parts)


def _sections(path: str, schema: Schema) -> Iterator[str]:
    """Yield the section of an object, then the sections of the objects in it."""
    yield f"## {path}\n"
    if path in _AS_ELSEWHERE:
        yield f"{_AS_ELSEWHERE[path]}\n"
        return
    if text := _cell(_split(schema)[0]):
        yield f"{text}\n"
    if rejections := [f"- {message}" for message in _rejections(schema)]:
        yield "Rejected with:\n\n" + "\n".join(rejections) + "\n"
    if path == _RULES:
        yield _alerts(schema)
        return
    needed = schema.get("required", ())
    rows = [_row(path, name, field, needed=name in needed) for name, field in schema["properties"].items()]
    yield "\n".join(["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"
    for name, field in schema["properties"].items():
        inner, below = _inner(field)
        if "properties" in inner and not _is_deprecated(field):
            yield from _sections(f"{path}.{name}{below}", inner)


def _row(path: str, name: str, field: Schema, *, needed: bool) -> str:
    inner, below = _inner(field)
    text, default = _split(field)
    if field is not inner and "properties" not in inner:
        text = f"{text} {_split(inner)[0]}".strip()
    if ("properties" not in inner or inner is not field) and (rejections := "; ".join(_rejections(field))):
        text = f"{text} Rejected with: {rejections.rstrip('.')}."
    has_section = "properties" in inner and not _is_deprecated(field)
    where = f"[`{name}`](#{_anchor(f'{path}.{name}{below}')})" if has_section else f"`{name}`"
    return f"| {where} | {_cell(_kind(field))} | {'*required*' if needed else _cell(default)} | {_cell(text)} |"


def _is_deprecated(field: Schema) -> bool:
    return str(field.get("description", "")).startswith("Deprecated: ")


def _alerts(schema: Schema) -> str:
    """Return the table of the shipped alerts. All have the same fields, so the table shows their defaults."""
    labels = next(iter(schema["properties"].values()))["properties"]["labels"]
    rejected = f"Rejected with: {'; '.join(_rejections(labels)).rstrip('.')}"
    rows = [
        f"Each also has `labels`, a {_kind(labels)}. {_split(labels)[0]} {rejected}.",
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
    """Return the schema of a list's items and the suffix of their path, or the field itself."""
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
    """Return the description, and the default at its end."""
    text, _, default = str(schema.get("description", "")).partition("Default: ")
    return text.strip(), default.strip().removesuffix(".")


def _rejections(schema: Schema) -> list[str]:
    """Return the API server's messages, without the patterns, which are hard to read."""
    return [rule["message"].partition(", matching ^")[0] for rule in schema.get("x-kubernetes-validations", [])]


def _cell(text: str) -> str:
    """Return the text escaped for a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("__", "\\_\\_")


def _anchor(path: str) -> str:
    """Return the anchor that common Markdown renderers make from a heading."""
    return "".join(letter for letter in path.lower() if letter.isalnum() or letter in "-_")
