"""Generate the CustomResourceDefinitions; that of MonitoringTarget comes from the operator's API types.

Pydantic writes JSON Schema. The API server accepts only a *structural* schema: no `$ref`, no `anyOf` with types in it,
no `additionalProperties: false` next to `properties` (the API server prunes or rejects unknown fields).
See "Specifying a structural schema" on the CustomResourceDefinition page of kubernetes.io.
"""

import json
from functools import cache
from typing import Any

from metricat_operator import naming
from metricat_operator.api.fields import IN_LIST, Model
from metricat_operator.api.status import Status
from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.conditions import ConditionType

Schema = dict[str, Any]

_DROPPED = ("title", "default", "$defs")
_NAME_LENGTH = 253


def definitions() -> list[Schema]:
    """Return every CustomResourceDefinition, ready for `kubectl apply`."""
    target = {"additionalPrinterColumns": _columns(), "subresources": {"status": {}}}
    return [
        _definition(naming.KIND, naming.PLURAL, _root(), target, shortNames=["mtarget"], categories=["metricat"]),
        _definition(
            naming.LEADER_FENCE_KIND,
            naming.LEADER_FENCE_PLURAL,
            _leader_fence(),
            {"additionalPrinterColumns": [_HOLDER]},
        ),
    ]


def _definition(kind: str, plural: str, schema: Schema, more: Schema, **names: list[str]) -> Schema:
    version = {"name": naming.VERSION, "served": True, "storage": True, **more, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{naming.GROUP}",
            "labels": {naming.LABEL_NAME: "metricat", "app.kubernetes.io/part-of": "metricat"},
        },
        "spec": {
            "group": naming.GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), **names},
            "versions": [version],
        },
    }


_HOLDER = {
    "name": "Holder",
    "type": "string",
    "jsonPath": ".spec.holderIdentity",
    "description": "Operator pod that may write.",
}


def _leader_fence() -> Schema:
    holder = {"type": "string", "description": "Name of the operator pod that may write."}
    return {
        "type": "object",
        "description": "Names the operator pod that may write. The API server rejects writes by other pods.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "description": "The holder of the Lease of the same name.",
                "properties": {"holderIdentity": holder},
            },
        },
    }


def _columns() -> list[Schema]:
    def column(name: str, path: str, kind: str, about: str, priority: int = 0) -> Schema:
        found = {"name": name, "type": kind, "jsonPath": path, "description": about}
        return found | ({"priority": priority} if priority else {})

    def condition(name: ConditionType, field: str) -> str:
        return f'.status.conditions[?(@.type=="{name}")].{field}'

    return [
        column("Nodes", ".status.nodes.desired", "integer", "Nodes that should have an agent."),
        column("Ready", ".status.nodes.ready", "integer", "Nodes with a ready agent."),
        column(
            "Uncovered",
            ".status.nodes.uncovered",
            "integer",
            "Selected nodes without a ready agent, including virtual nodes.",
        ),
        column("Scraped", ".status.nodes.scraped", "integer", "Nodes with samples in Prometheus."),
        column("Accepted", condition(ConditionType.ACCEPTED, "status"), "string", "Whether the newest spec is valid."),
        column("Monitored", condition(ConditionType.MONITORED, "status"), "string", "Whether the monitoring works."),
        column("Status", condition(ConditionType.READY, "reason"), "string", "Reason of the condition Ready.", 1),
        column("Agents", condition(ConditionType.READY, "message"), "string", "Message of the condition Ready.", 1),
        column(
            "Why", condition(ConditionType.MONITORED, "message"), "string", "Message of the condition Monitored.", 1
        ),
        column("Operator", ".status.operator", "string", "Operator that manages the target.", 1),
        column("Age", ".metadata.creationTimestamp", "date", "Time since the target was created."),
    ]


def _root() -> Schema:
    return {
        "type": "object",
        "description": "A set of nodes to monitor, with the settings of agents, scrapes, alerts and notifications.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            # Without a default, a server-side apply that removes the last field leaves an invalid null spec.
            "spec": {**structural(Spec), "default": {}},
            # Until the operator has processed a target, tools that wait for it (Helm, GitOps tools) see it in progress.
            "status": {**structural(Status), "default": {"observedGeneration": -1}},
        },
    }


def structural(model: type[Model]) -> Schema:
    """Return the structural schema of a model."""
    schema = _json_schema(model)
    found = _structural(schema, schema.get("$defs", {}))
    if model is Spec:
        _shorten(found["properties"]["pools"]["items"]["properties"]["alerts"]["properties"]["rules"])
    return found


@cache
def _json_schema(model: type[Model]) -> Schema:
    """Return the JSON Schema of a model. Callers must not change it: Pydantic needs a second to make it."""
    return model.model_json_schema(by_alias=True)


def _shorten(rules: Schema) -> None:
    """Remove the descriptions of the alerts of a pool, which spec.alerts.rules has too.

    `kubectl apply` without `--server-side` stores the whole CRD in an annotation, of at most 262,144 bytes.
    """
    for name, alert in rules["properties"].items():
        alert["description"] = f"As spec.alerts.rules.{name}."
        for level in alert["properties"].values():
            level.pop("description", None)
            for field in level.get("properties", {}).values():
                field.pop("description", None)


def _structural(schema: Schema, definitions: dict[str, Schema], *, in_list: bool = False) -> Schema:
    schema = _resolved(schema, definitions)
    found = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "x-kubernetes-int-or-string" in found:
        found.pop("type", None)
    instead = found.pop(IN_LIST, {})
    if instead and in_list:
        del found["x-kubernetes-validations"]
        found |= instead
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if "description" in found:
        found["description"] = _described(found["description"], schema)
    if "properties" in found:
        found.pop("additionalProperties", None)
        found["properties"] = {
            name: _property(sub, definitions, in_list=in_list) for name, sub in found["properties"].items()
        }
    for key, limit in (("additionalProperties", "maxProperties"), ("items", "maxItems")):
        if isinstance(found.get(key), dict):
            found[key] = _structural(found[key], definitions, in_list=True)
            if "maxLength" in found:
                found[limit] = found.pop("maxLength")
    return dict(sorted(found.items()))


def _property(schema: Schema, definitions: dict[str, Schema], *, in_list: bool) -> Schema:
    """Return the schema of a field. A map may be null: server-side apply leaves that after its last field is gone."""
    found = _structural(schema, definitions, in_list=in_list)
    return found | ({"nullable": True} if found.get("type") == "object" else {})


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return the schema with references and choices resolved. The field's own keywords take precedence."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        schema = {**definitions[name], **{key: value for key, value in schema.items() if key != "$ref"}}
    if options := [option for option in schema.get("anyOf", []) if option != {"type": "null"}]:
        # Two real choices are int-or-string. The API server has a keyword for that instead of a choice.
        single = options[0] if len(options) == 1 else {}
        schema = {**single, **{key: value for key, value in schema.items() if key != "anyOf"}}
        return _resolved(schema, definitions)
    return schema


def _described(text: str, schema: Schema) -> str:
    """Return the description with the default as text, because the schema has no defaults."""
    default = schema.get("default")
    simple = isinstance(default, (str, int, float)) and default != ""
    join_words = isinstance(default, list) and default
    if "Default:" in text or not (simple or join_words):
        return " ".join(text.split())
    return f"{' '.join(text.split())} Default: {json.dumps(_without_nulls(default))}."


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
