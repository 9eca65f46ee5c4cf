"""The schema and the README of the chart's values, from `charts/metricat/values.schema.yaml` and `values.yaml`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from metricat_tools.generate import crd

Schema = dict[str, Any]

_SPEC = "kubernetes.monitoringTargetSpec"
_KEPT = (
    "type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required",
    "minProperties", "maxProperties", "uniqueItems",
)  # fmt: skip
"""Keywords with the same meaning in structural schemas and in JSON Schema."""
_README = """\
# The chart of Metricat

This chart installs the operator of Metricat and, if `hub.enabled` is true, the hub. The operator runs an agent on each
node that a MonitoringTarget selects. It creates the objects from which the Prometheus Operator configures scraping and
alerting. [The project's README](../../README.md) shows how to build the images. `make generate` writes this page from
`values.schema.yaml`.

```console
$ helm install metricat charts/metricat --namespace monitoring --create-namespace --values my-values.yaml
```

If an install fails, see [The installation fails](../../docs/troubleshooting.md#the-installation-fails).
By default, `helm uninstall` keeps the CRDs and the MonitoringTargets that you applied, with their agents. See
[Uninstall](../../docs/upgrades.md#uninstall).

Helm rejects values with unknown names or wrong types before it changes the cluster. [values.yaml](values.yaml) explains
the values in more detail. Values such as *tolerations* have the types of the Kubernetes API.

| value | default | meaning |
| --- | --- | --- |
"""


def schema(chart: Path) -> Schema:
    """Return the schema of the values. The type of `defaultTarget.spec` is that of the CustomResourceDefinition."""
    source: Schema = yaml.safe_load((chart / "values.schema.yaml").read_text())
    [version] = crd.definitions()[0]["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    source["$defs"][_SPEC] = _strict(spec)
    _require_sections(source, source["$defs"])
    return source


def _require_sections(schema: Schema, definitions: Schema) -> None:
    """Require each map of named values: Helm removes values that are null, so templates could not read its fields."""
    sections = []
    for key, item in schema.get("properties", {}).items():
        inner = item if "properties" in item else referenced(item, definitions)
        if "properties" in inner:
            sections += [] if item.get("deprecated") else [key]
            _require_sections(inner, definitions)
    if sections:
        schema["required"] = sorted({*schema.get("required", []), *sections})


def text(chart: Path) -> str:
    """Return the content of `values.schema.json`."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in schema(chart).items() if key[0] != "p"]
    properties = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in schema(chart)["properties"].items()]
    return "{\n" + ",\n".join([*lines, '  "properties": {\n' + ",\n".join(properties) + "\n  }"]) + "\n}\n"


def readme(chart: Path) -> str:
    """Return the README of the chart: a table of all values."""
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    found = schema(chart)
    return _README + "".join(_row(path, one, defaults) for path, one in leaves(found, found["$defs"]))


def leaves(schema: Schema, definitions: Schema, at: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield the path and the schema of each value that is not a map of named values."""
    for key, item in schema.get("properties", {}).items():
        path = f"{at}.{key}" if at else key
        inner = {**referenced(item, definitions), **item}
        if "properties" in inner:
            yield from leaves(inner, definitions, path)
        else:
            yield path, inner


def referenced(item: Schema, definitions: Schema) -> Schema:
    """Return the definition to which a schema refers; empty for none, and for types of the Kubernetes API."""
    name = item.get("$ref", "").rpartition("/")[2]
    return definitions[name] if name and not name.startswith("kubernetes.") else {}


def _row(path: str, schema: Schema, defaults: Any) -> str:
    if schema.get("deprecated") or path.startswith("operator.askPrometheus"):
        return ""
    for key in path.split("."):
        defaults = defaults[key]
    default = json.dumps(defaults).replace("|", "\\|")
    return f"| `{path}` | `{default}` | {schema['description']} |\n"


def _strict(structural: Schema) -> Schema:
    """Return a structural schema as JSON Schema that rejects unknown fields, as the operator does."""
    kept: Schema = {key: structural[key] for key in _KEPT if key in structural}
    if structural.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
    if "items" in structural:
        kept["items"] = _strict(structural["items"])
    if "properties" in structural:
        kept["properties"] = {key: _strict(item) for key, item in structural["properties"].items()}
        kept["additionalProperties"] = False
    elif isinstance(structural.get("additionalProperties"), dict):
        kept["additionalProperties"] = _strict(structural["additionalProperties"])
    if structural.get("nullable") and "type" in kept:
        kept["type"] = [*([kept["type"]] if isinstance(kept["type"], str) else kept["type"]), "null"]
    return kept
