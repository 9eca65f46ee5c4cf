"""The API server's response to an apply of each child kind, recorded for the unit tests of `drift`.

`METRICAT_RECORD=NetworkPolicy,Service pytest tests/integration/operator/test_recorded_children.py` records these kinds.
"""

import os

import pytest
import yaml

from metricat_operator.child_kinds import CHILD_KINDS, ChildKind
from metricat_operator.drift import find_drift
from metricat_operator.naming import FIELD_MANAGER
from metricat_tools.generate import golden
from support.harness import Cluster, api_path
from support.paths import FIXTURES

RECEIVER = {
    "name": "chat",
    "slack": {"url": {"name": "on-call", "key": "slack"}},
    "quietHours": [{"from": "22:00", "to": "06:00"}],
}
SPEC = {"notifications": {"receivers": [RECEIVER]}}
"""A spec of which every child kind is a part."""


@pytest.mark.parametrize("kind", CHILD_KINDS, ids=lambda kind: kind.name)
def test_a_newly_applied_child_has_no_drift(cluster: Cluster, namespace: str, kind: ChildKind) -> None:
    manifests = golden.manifests({"metadata": {"name": "nodes", "namespace": namespace}, "spec": SPEC})
    desired = next(one for one in manifests if one["kind"] == kind.name)
    path = api_path(kind.name.lower(), desired["metadata"]["name"], namespace)
    query = f"fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict"
    live = cluster.api.call("PATCH", f"{path}?{query}", desired, "application/apply-patch+yaml")
    assert not find_drift(desired, live)
    if kind.name in os.environ.get("METRICAT_RECORD", "").split(","):
        text = yaml.safe_dump(desired, sort_keys=False) + "---\n" + yaml.safe_dump(live)
        (FIXTURES / "children" / f"{kind.name}.yaml").write_text(text.replace(namespace, "monitoring"))
