"""Compare the registry of child kinds with every place that must list them. A forgotten place fails here."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from metricat_operator.child_kinds import CHILD_KINDS, ChildKind
from metricat_operator.manifests.build import BUILDERS
from metricat_tools.generate import golden
from support.chart import render
from support.paths import FIXTURES, GOLDEN

WRITES = {"get", "list", "watch", "create", "patch", "delete"}
OPERATIONS = {"CREATE", "UPDATE", "DELETE"}


def resource(kind: ChildKind) -> str:
    """Return the name of the resource in RBAC, such as `daemonsets.apps`."""
    return f"{kind.plural}.{kind.api_version.rpartition('/')[0]}".rstrip(".")


RESOURCES = {resource(kind) for kind in CHILD_KINDS}
NEEDED_BY_AUTHORS = {resource(kind) for kind in CHILD_KINDS if kind.author_must_create}


def test_exactly_the_kinds_of_the_prometheus_operator_are_optional() -> None:
    optional = {kind.name for kind in CHILD_KINDS if kind.optional}
    assert optional == {kind.name for kind in CHILD_KINDS if kind.api_version.startswith("monitoring.coreos.com/")}


def resources(rule: dict[str, Any]) -> Iterator[str]:
    """Yield the resources of an RBAC rule or of a policy's rule."""
    for group in rule["apiGroups"]:
        for plural in rule["resources"]:
            yield f"{plural}.{group}".rstrip(".")


def named(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name)


@pytest.fixture(scope="module")
def chart() -> list[dict[str, Any]]:
    return render()


def test_every_kind_has_one_builder() -> None:
    assert list(BUILDERS) == list(CHILD_KINDS)


def test_the_kinds_of_the_golden_manifests_are_exactly_the_registry() -> None:
    """The kinds come from `build_children`, so that this also fails before `make generate`."""
    targets = [yaml.safe_load((case / "target.yaml").read_text()) for case in golden.cases(GOLDEN)]
    found = {(one["apiVersion"], one["kind"]) for target in targets for one in golden.manifests(target)}
    assert found == {(kind.api_version, kind.name) for kind in CHILD_KINDS}


def test_children_are_applied_in_the_order_of_the_registry() -> None:
    order = [kind.name for kind in CHILD_KINDS]
    for case in golden.cases(GOLDEN):
        places = [order.index(one["kind"]) for one in yaml.safe_load_all((case / "manifests.yaml").read_text())]
        assert places == sorted(places), case.name


def test_a_recorded_object_exists_for_every_kind() -> None:
    """`tests/unit/operator/test_drift.py` needs it; tests/integration/operator/test_recorded_children.py records it."""
    assert {path.stem for path in (FIXTURES / "children").glob("*.yaml")} == {kind.name for kind in CHILD_KINDS}


@pytest.mark.parametrize("namespaces", [[], ["a", "b"]])
def test_the_operator_may_write_exactly_the_child_kinds(namespaces: list[str]) -> None:
    manifests = render(*(f"operator.namespaces[{place}]={name}" for place, name in enumerate(namespaces)))
    roles = (
        [one for one in manifests if one["kind"] == "Role" and one["metadata"]["name"] == "metricat-targets"]
        if namespaces
        else [named(manifests, "ClusterRole", "metricat")]
    )
    assert [role["metadata"].get("namespace", "") for role in roles] == (namespaces or [""])
    for role in roles:
        verbs: dict[str, set[str]] = {}
        for rule in role["rules"]:
            for one in resources(rule):
                verbs.setdefault(one, set()).update(rule["verbs"])
        assert {one for one, granted in verbs.items() if "delete" in granted} == RESOURCES
        assert {one: verbs[one] for one in RESOURCES} == dict.fromkeys(RESOURCES, WRITES)


def test_the_leader_fencing_policy_matches_exactly_the_child_kinds_and_the_status(chart: list[dict[str, Any]]) -> None:
    policy = named(chart, "ValidatingAdmissionPolicy", "metricat-leader-fencing")
    rules = policy["spec"]["matchConstraints"]["resourceRules"]
    operations = {one: set(rule["operations"]) for rule in rules for one in resources(rule)}
    status = operations.pop("monitoringtargets/status.metricat.dev")
    assert status == {"UPDATE"}
    assert operations == dict.fromkeys(RESOURCES, OPERATIONS)


def test_the_authorization_policy_checks_exactly_the_kinds_that_authors_must_create(
    chart: list[dict[str, Any]],
) -> None:
    policy = named(chart, "ValidatingAdmissionPolicy", "metricat-author")
    checks = "\n".join(one["expression"] for one in policy["spec"]["validations"])
    call = r"group\('([^']*)'\)\.resource\('([^']*)'\)\.namespace\(request\.namespace\)\.check\('create'\)"
    assert {f"{plural}.{group}".rstrip(".") for group, plural in re.findall(call, checks)} == NEEDED_BY_AUTHORS


def test_the_role_for_authors_grants_exactly_what_the_policy_checks(chart: list[dict[str, Any]]) -> None:
    role = named(chart, "ClusterRole", "metricat-author")
    [own, *others] = role["rules"]
    assert list(resources(own)) == ["monitoringtargets.metricat.dev"]
    assert {one for rule in others for one in resources(rule)} == NEEDED_BY_AUTHORS
    assert [rule["verbs"] for rule in others] == [["create"]] * len(others)
