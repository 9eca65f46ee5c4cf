"""Any valid spec of a MonitoringTarget, made from the schema that the API server is given."""

import json
import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from metricat_operator.api.fields import LABEL_KEY, LABEL_VALUE, PROMETHEUS_LABEL
from metricat_operator.api.parse import parse
from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate import crd

Schema = dict[str, Any]
Values = st.SearchStrategy[Any]

_FEW = 3
"""Maximum number of items, and of fields in objects with very many fields (the alerts)."""
_MANY = 12
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Cs", "Zl", "Zp"]), max_size=20)
_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


def _matching(pattern: str, most: int = 40) -> st.SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True).filter(lambda text: len(text) <= most)


_KEYS, _VALUES, _LABELS = _matching(LABEL_KEY), _matching(LABEL_VALUE), _matching(PROMETHEUS_LABEL)
_PATTERNS = st.sampled_from(["", "^veth", r"^(ram|loop)\d+$", "a|b", "$", ".*"])
_OFTEN = st.sampled_from(["keep", "drop", "labelmap"])
_MORE = {"value": _VALUES, "effect": st.just("NoExecute"), "tolerationSeconds": st.integers(0, 600)}

_RELATED: dict[str, Values] = {
    "collectors.flags": st.fixed_dictionaries(
        {},
        optional={
            "hwmon.chip-exclude": _PATTERNS,
            "vmstat.fields": _PATTERNS,
            "cpu.info": st.sampled_from(["true", "false"]),
        },
    ),
    # The schema checks each field alone; rules in CEL check several fields together.
    "matchExpressions": st.lists(
        st.builds(
            lambda key, values: {"key": key, "operator": "In", "values": values} if values else _exists(key),
            _KEYS,
            st.lists(_VALUES, max_size=2),
        ),
        max_size=2,
    ),
    "tolerations": st.lists(
        st.fixed_dictionaries({"key": _KEYS}, optional=_MORE).map(
            lambda one: one | ({"effect": "NoExecute"} if "tolerationSeconds" in one else {})
        )
        | st.just({"operator": "Exists"}),
        max_size=_FEW,
    ),
    "metricRelabelings": st.lists(
        st.fixed_dictionaries(
            {"action": _OFTEN, "sourceLabels": st.lists(_LABELS, max_size=2)}, optional={"regex": _PATTERNS}
        )
        | st.fixed_dictionaries({"targetLabel": _LABELS}, optional={"replacement": _TEXT, "separator": st.just("/")})
        | st.fixed_dictionaries({"action": st.just("hashmod"), "modulus": st.integers(1, 99), "targetLabel": _LABELS})
        | st.fixed_dictionaries({"action": st.sampled_from(["labeldrop", "labelkeep"]), "regex": _PATTERNS})
        | st.fixed_dictionaries({"action": st.sampled_from(["keepequal", "dropequal"]), "targetLabel": _LABELS}),
        max_size=_FEW,
    ),
    "web": st.fixed_dictionaries({}, optional={"basicAuthSecretName": _NAMES})
    | st.fixed_dictionaries({"tlsSecretName": _NAMES}, optional={"serverName": _NAMES})
    | st.fixed_dictionaries(
        dict.fromkeys(("tlsSecretName", "clientCASecretName", "prometheusClientSecretName"), _NAMES)
    ),
    "resources": st.fixed_dictionaries(
        {"requests": st.fixed_dictionaries({"memory": st.sampled_from(["1Mi", "1e6", "20M"])})},
        optional={"limits": st.fixed_dictionaries({"memory": st.sampled_from(["1Gi", "1500Mi", 2**30])})},
    ),
    "monitor.interval": st.sampled_from(["10s", "30s", "1m", "1m30s"]),
    "monitor.scrapeTimeout": st.sampled_from(["5s", "10s", "1500ms"]),
    "rules.expr": st.sampled_from(["1", "up == 0", "sum by (node) (rate(node_cpu_seconds_total[5m]))"]),
}


@cache
def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Specs that are accepted, with every field in some of them. The first example makes the strategy."""
    return st.deferred(_specs)


def _specs() -> st.SearchStrategy[dict[str, Any]]:
    found: st.SearchStrategy[dict[str, Any]] = _values(crd.structural(Spec), "")
    return found.map(_one_kind_of_rule).filter(_is_accepted)


def _exists(key: str) -> Schema:
    return {"key": key, "operator": "Exists"}


def _one_kind_of_rule(spec: dict[str, Any]) -> dict[str, Any]:
    for group in spec.get("alerts", {}).get("extraGroups", ()):
        for one in group.get("rules", ()):
            one.pop("record" if "alert" in one else "", None)
            if "record" not in one:
                one.setdefault("alert", "Any")
    return spec


def _is_accepted(spec: dict[str, Any]) -> bool:
    return not parse(spec).errors


def _values(schema: Schema, path: str) -> Values:
    last = path.rpartition(".")[2]
    above = ".".join(path.split(".")[-2:])
    known = _RELATED.get(above, _RELATED.get(last))
    if known is not None:
        return known
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "x-kubernetes-int-or-string" in schema:
        return st.integers(1, 99) | st.integers(1, 100).map("{}%".format)
    kinds: dict[str, Values] = {
        "boolean": st.booleans(),
        "integer": st.integers(int(schema.get("minimum", 0)), int(schema.get("maximum", 10**6))),
        "number": st.integers(*_bounds(schema)) | st.floats(*_bounds(schema), allow_subnormal=False),
    }
    kind = schema["type"]
    if kind == "object":
        return _object(schema, path)
    if kind == "array":
        return _array(schema, path)
    return kinds[kind] if kind in kinds else _string(schema)


def _bounds(schema: Schema) -> tuple[int, int]:
    return int(schema.get("minimum", -(10**6))), int(schema.get("maximum", 10**6))


def _string(schema: Schema) -> Values:
    if "''.matches(self)" in str(schema.get("x-kubernetes-validations")):
        return _PATTERNS
    if pattern := schema.get("pattern"):
        found = _matching(pattern, min(40, schema["maxLength"]))
        return found.filter(lambda text: len(text) >= _least(schema) and "\x7f" not in text)  # no kubectl takes that
    return _TEXT.filter(lambda text: len(text) >= _least(schema))


def _without_both_names(found: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Remove each deprecated field whose new name is there too."""
    for name, field in schema["properties"].items():
        new = field.get("description", "").partition("Deprecated: use ")[2].removesuffix(".")
        if name in found and new in found:
            del found[name]
    return found


def _least(schema: Schema) -> int:
    least: int = schema.get("minLength", 0)
    return least


def _array(schema: Schema, path: str) -> Values:
    keys = schema.get("x-kubernetes-list-map-keys")
    items = _values(schema["items"], path)
    return st.lists(items, max_size=_FEW, unique_by=(lambda item: item[keys[0]]) if keys else None)


def _object(schema: Schema, path: str) -> Values:
    if "additionalProperties" in schema:
        rules = "\n".join(one["rule"] for one in schema["x-kubernetes-validations"])
        if known := re.search(r"self\.all\(key, key in (\[.*?\])\)", rules):
            keys = st.sampled_from(json.loads(known[1].replace("'", '"')))
        else:
            [pattern] = {*re.findall(r"self\.all\(key, \(?key\.matches\('(.*?)'\)", rules)}
            keys = _matching(pattern)
        return st.dictionaries(keys, _values(schema["additionalProperties"], ""), max_size=_FEW)
    fields = {name: _values(sub, f"{path}.{name}") for name, sub in schema["properties"].items()}
    needed = {name: fields.pop(name) for name in schema.get("required", ())}
    if len(fields) < _MANY:
        return st.fixed_dictionaries(needed, optional=fields).map(lambda found: _without_both_names(found, schema))
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=_FEW, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({**needed, **{name: fields[name] for name in names}}))
