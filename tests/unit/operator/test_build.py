"""Any valid spec becomes manifests, and always the same."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings

from metricat_operator.api.parse import parse
from metricat_operator.manifests import Context, build
from support.specs import specs


def built(spec: dict[str, Any]) -> str:
    parsed = parse(spec)
    assert parsed.spec is not None
    return json.dumps(build(Context("nodes", "monitoring", "uid", parsed.spec, "image")))


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(spec=specs())
def test_any_valid_spec_builds_and_the_same_bytes_twice(spec: dict[str, Any]) -> None:
    first = built(spec)
    assert first == built(json.loads(json.dumps(spec)))
    assert len({(one["kind"], one["metadata"]["name"]) for one in json.loads(first)}) == len(json.loads(first))
