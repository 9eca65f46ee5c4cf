"""Deprecated names of fields: each works like the new one, with a warning."""

import json
from typing import Any

import pytest
import yaml

from metricat_operator.api.collectors import Collectors
from metricat_operator.api.deprecations import replace_deprecated
from metricat_operator.api.fields import DeprecatedName, Model
from metricat_operator.api.parse import parse
from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.manifests import Context, build_children
from metricat_tools.generate import crd
from support.paths import GOLDEN

SLACK = {"name": "chat", "slack": {"url": {"name": "s", "key": "k"}}}
GPU = {"name": "gpu", "nodeSelector": {"matchLabels": {"gpu": "true"}}}


def agent(**collectors: Any) -> dict[str, Any]:
    return {"agent": {"collectors": collectors}}


def receiver(**fields: str) -> dict[str, Any]:
    return {"notifications": {"receivers": [SLACK | fields]}}


OFF = {"enabled": False}
DEVICES = {"excludeDevices": "^ram"}
SAME = [
    (agent(load=OFF), agent(loadavg=OFF), ["agent.collectors.load is deprecated. Use loadavg."]),
    (agent(memory=OFF), agent(meminfo=OFF), ["agent.collectors.memory is deprecated. Use meminfo."]),
    (agent(disk=DEVICES), agent(diskstats=DEVICES), ["agent.collectors.disk is deprecated. Use diskstats."]),
    (agent(network=DEVICES), agent(netdev=DEVICES), ["agent.collectors.network is deprecated. Use netdev."]),
    (
        agent(processes={"mask": "hash"}),
        agent(processes={"hashNames": True}),
        ["agent.collectors.processes.mask is deprecated. Use hashNames."],
    ),
    (
        agent(processes={"mask": "none"}),
        agent(processes={"hashNames": False}),
        ["agent.collectors.processes.mask is deprecated. Use hashNames."],
    ),
    (
        receiver(repeat="1h"),
        receiver(repeatInterval="1h"),
        ["notifications.receivers[0].repeat is deprecated. Use repeatInterval."],
    ),
    (
        {"pools": [GPU | agent(load=OFF, processes={"mask": "hash"})]},
        {"pools": [GPU | agent(loadavg=OFF, processes={"hashNames": True})]},
        [
            "pools[0].agent.collectors.load is deprecated. Use loadavg.",
            "pools[0].agent.collectors.processes.mask is deprecated. Use hashNames.",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "warnings"), SAME, ids=[warnings[0] for _, _, warnings in SAME])
def test_deprecated_name_means_the_new_one_with_a_warning(
    old: dict[str, Any], new: dict[str, Any], warnings: list[str]
) -> None:
    before = json.dumps(old)
    found, wanted = parse(old), parse(new)
    assert json.dumps(old) == before, "the caller's object is not changed"
    assert (found.errors, wanted.errors, wanted.warnings) == ((), (), ())
    assert found.spec == wanted.spec
    assert found.warnings == tuple(f"spec.{warning}" for warning in warnings)


def test_old_name_of_a_pool_overrides_the_new_name_of_the_target() -> None:
    spec = agent(diskstats={"excludeDevices": "^ram"}) | {"pools": [GPU | agent(disk={"excludeDevices": "^loop"})]}
    gpu, default = parse(spec).pools
    assert gpu.agent.collectors.diskstats.exclude_devices == "^loop"
    assert default.agent.collectors.diskstats.exclude_devices == "^ram"


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            agent(load=OFF, loadavg=OFF),
            "spec.agent.collectors.load: load is the deprecated name of loadavg. Remove load.",
        ),
        (
            {"pools": [GPU | agent(processes={"mask": "hash", "hashNames": True})]},
            "spec.pools[0].agent.collectors.processes.mask: mask is the deprecated name of hashNames. Remove mask.",
        ),
        (agent(processes={"mask": "md5"}), "spec.agent.collectors.processes.mask: must be none or hash (it is 'md5')"),
        (agent(processes={"mask": ["a"]}), "spec.agent.collectors.processes.mask: must be none or hash (it is ['a'])"),
        (
            agent(disk={"excludeDevices": "("}),
            "spec.agent.collectors.disk.excludeDevices: '(' is not a regular expression: missing ), unterminated "  # noqa: ISC004 (one text)
            "subpattern at position 0. Correct it or remove the field.",
        ),
    ],
)
def test_errors_name_the_field_that_is_written(spec: dict[str, Any], error: str) -> None:
    parsed = parse(spec)
    assert parsed.errors == (error,)
    assert parsed.spec is None


def test_unknown_field_in_a_deprecated_one_is_reported_under_the_written_name() -> None:
    assert parse(agent(load={"colour": "blue"})).warnings == (
        "spec.agent.collectors.load is deprecated. Use loadavg.",
        "spec.agent.collectors.load.colour: unknown to this version of the operator. The field is ignored.",
    )


@pytest.mark.parametrize("value", [None, [], "x", {"load": None}, {"processes": []}, {"processes": {"mask": None}}])
def test_any_value_passes_through(value: Any) -> None:
    list(replace_deprecated(value, Collectors))


def test_schema_keeps_the_old_name_and_refuses_both() -> None:
    schema = crd.structural(Collectors)
    old, new = schema["properties"]["disk"], schema["properties"]["diskstats"]
    assert old.pop("description") == "Deprecated: use diskstats."
    assert {key: value for key, value in new.items() if key != "description"} == old
    assert {
        "rule": "!(has(self.disk) && has(self.diskstats))",
        "message": "disk is the deprecated name of diskstats. Remove disk.",
    } in schema["x-kubernetes-validations"]
    mask = schema["properties"]["processes"]["properties"]["mask"]
    assert mask == {"description": "Deprecated: use hashNames.", "enum": ["none", "hash"], "type": "string"}


def test_every_deprecated_name_has_a_test() -> None:
    """The new name exists too, in the target and in pools."""
    tested = {
        warning.partition(" is deprecated")[0].rpartition(".")[2] for _, _, warnings in SAME for warning in warnings
    }
    names = list(deprecated(Spec))
    assert {name.old for name in names} == tested
    for name in names:
        assert name.old not in {"", name.new}


def deprecated(model: type[Model]) -> list[DeprecatedName]:
    """The deprecated names of a model and of the models in it."""
    found = list(model.deprecated_names)
    schema = model.model_json_schema(by_alias=True)
    assert all(name.new in schema["properties"] for name in found)
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            found += deprecated(inner)
    return found


def _models(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def test_golden_target_with_old_names_has_the_manifests_of_the_new_ones() -> None:
    text = (GOLDEN / "deprecated-names" / "target.yaml").read_text()
    for old, new in (
        ("load:", "loadavg:"),
        ("memory:", "meminfo:"),
        ("disk:", "diskstats:"),
        ("network:", "netdev:"),
        ("mask: hash", "hashNames: true"),
        ("mask: none", "hashNames: false"),
        ("repeat:", "repeatInterval:"),
    ):
        assert old in text
        text = text.replace(old, new)
    parsed = parse(yaml.safe_load(text)["spec"])
    assert parsed.spec
    assert (parsed.errors, parsed.warnings) == ((), ())
    old_spec = parse(yaml.safe_load((GOLDEN / "deprecated-names" / "target.yaml").read_text())["spec"]).spec
    assert old_spec
    new_children, old_children = (
        build_children(Context("nodes", "monitoring", "uid", spec, "image")) for spec in (parsed.spec, old_spec)
    )
    assert new_children == old_children
