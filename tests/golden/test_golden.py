"""Each `target.yaml` gives exactly the `manifests.yaml` next to it, which `make generate` writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate import crd, golden

CASES = golden.cases(Path(__file__).parent)
WHOLE = ("alerts.rules", "pools.agent", "pools.alerts")
"""Fields whose inner fields need no case: settings of each alert, and the overrides of a pool."""
WITHOUT_MANIFESTS = ("allowEmpty", "paused", "pools.allowEmpty")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_target_gives_the_golden_manifests(case: Path) -> None:
    assert (case / "manifests.yaml").read_text() == golden.text(case)


def test_every_manifest_is_owned_and_labelled() -> None:
    for case in CASES:
        for manifest in yaml.safe_load_all((case / "manifests.yaml").read_text()):
            metadata = manifest["metadata"]
            assert [owner["uid"] for owner in metadata["ownerReferences"]] == [golden.UID]
            assert metadata["labels"]["metricat.dev/target"]
            assert len(metadata["name"]) <= 63


def test_every_field_of_the_spec_has_a_case() -> None:
    said = {path for case in CASES for path in paths(yaml.safe_load((case / "target.yaml").read_text())["spec"])}
    assert sorted(set(fields(crd.structural(Spec))) - said) == sorted(WITHOUT_MANIFESTS)


def fields(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """The fields that a schema has, by their paths: those of lists' items too, but not those of deprecated fields."""
    inner = schema.get("items", schema)
    if at in WHOLE or schema.get("description", "").startswith("Deprecated: ") or "properties" not in inner:
        yield at
        return
    for name, field in inner["properties"].items():
        yield from fields(field, f"{at}.{name}" if at else name)


def paths(value: Any, at: str = "") -> Iterator[str]:
    """The paths of all fields that are set."""
    yield at
    for item in value if isinstance(value, list) else ():
        yield from paths(item, at)
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from paths(item, f"{at}.{key}" if at else key)


def test_every_field_of_the_spec_changes_the_manifests() -> None:
    """A field that no code reads fails here. Without a field, the manifests of at least one case must differ."""
    effective: set[str] = set()
    for case in CASES:
        target = yaml.safe_load((case / "target.yaml").read_text())
        before = golden.manifests(target)
        for path, spec in without_each_field(target["spec"]):
            try:
                if path not in effective and golden.manifests({**target, "spec": spec}) != before:
                    effective.add(path)
            except ValueError:  # the field is required
                effective.add(path)
    assert sorted(set(fields(crd.structural(Spec))) - effective) == sorted(WITHOUT_MANIFESTS)


def without_each_field(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each field that is set, with a copy of the value without it."""
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{at}.{key}" if at else key
            yield path, {name: one for name, one in value.items() if name != key}
            for inner, changed in without_each_field(item, path):
                yield inner, {**value, key: changed}
    elif isinstance(value, list):
        for number, item in enumerate(value):
            for inner, changed in without_each_field(item, at):
                yield inner, [*value[:number], changed, *value[number + 1 :]]
