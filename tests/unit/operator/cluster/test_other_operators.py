"""Which operator manages a target when the operators of several releases watch it."""

from typing import Any

import pytest

from metricat_operator import naming
from metricat_operator.cluster.other_operators import OtherOperator, decide, holder_claims
from metricat_operator.facts.model import OperatorClaim
from metricat_tools.generate.chart import NAMESPACE, RELEASE
from support import chart

ME, OTHER, OLDER = "monitoring/metricat", "team/team-metricat", "old/metricat"
RUNS, OLD = OtherOperator(OTHER), OtherOperator(OLDER, claims=False)


def target(operator: str = "", named: str = "") -> dict[str, Any]:
    annotations = {naming.OPERATOR_ANNOTATION: named} if named else {}
    status = {"operator": operator} if operator else {}
    return {"metadata": {"name": "nodes", "namespace": "team", "annotations": annotations}, "status": status}


@pytest.mark.parametrize(
    ("claimed", "named", "others", "operator", "reason"),
    [
        ("", "", (), ME, "Claimed"),
        (ME, "", (RUNS,), ME, "Claimed"),
        ("", "", (RUNS,), ME, "Claimed"),
        (OTHER, "", (RUNS,), OTHER, "ClaimedByOther"),
        (OTHER, "", (), ME, "Claimed"),
        ("team/gone", "", (RUNS,), ME, "Claimed"),
        ("no identity", "", (), ME, "Claimed"),
        (ME, OTHER, (RUNS,), OTHER, "NamedOperator"),
        (OTHER, ME, (RUNS,), ME, "Claimed"),
        (OTHER, "team/gone", (RUNS,), OTHER, "ClaimedByOther"),
        (ME, OTHER, (), ME, "Claimed"),
        (ME, "", (OLD,), OLDER, "OlderOperator"),
        ("", ME, (RUNS, OLD), OLDER, "OlderOperator"),
        (OTHER, OTHER, (RUNS, OLD), OLDER, "OlderOperator"),
    ],
)
def test_one_operator_manages_the_target(
    claimed: str, named: str, others: tuple[OtherOperator, ...], operator: str, reason: str
) -> None:
    found = decide(ME, target(claimed, named), others)
    assert (found.operator, str(found.reason), found.mine) == (operator, reason, operator == ME)


@pytest.mark.parametrize("claimed", ["", ME, OTHER])
@pytest.mark.parametrize("named", ["", ME, OTHER, "team/gone"])
def test_two_operators_never_both_leave_or_both_keep_a_claimed_target(claimed: str, named: str) -> None:
    mine = decide(ME, target(claimed, named), [OtherOperator(OTHER)])
    theirs = decide(OTHER, target(claimed, named), [OtherOperator(ME)])
    if claimed or named in {ME, OTHER}:
        assert mine.mine is not theirs.mine
        assert mine.operator == theirs.operator
    else:
        assert mine.mine, "the API server accepts the first of both claims"
        assert theirs.mine


def test_other_operators_and_a_missing_one_are_reported() -> None:
    assert decide(ME, target(ME, "team/gone"), [RUNS]) == OperatorClaim(ME, others=(OTHER,), not_found="team/gone")
    assert decide(ME, target(ME, ME), [RUNS]) == OperatorClaim(ME), "the annotation shows that the overlap is intended"


def test_target_without_annotations_and_status_is_not_claimed() -> None:
    found = {"metadata": {"name": "nodes", "namespace": "team", "annotations": None}, "status": None}
    assert decide(ME, found, []) == OperatorClaim(ME)


@pytest.mark.parametrize(
    ("holder", "annotation", "claims"),
    [("pod-a", "pod-a", True), ("pod-b", "pod-a", False), ("pod-a", None, False), ("", "", False)],
)
def test_fence_of_an_older_version_does_not_claim(holder: str, annotation: str | None, claims: bool) -> None:  # noqa: FBT001
    annotations = {} if annotation is None else {naming.CLAIMS_ANNOTATION: annotation}
    fence = {"metadata": {"name": "x", "annotations": annotations}, "spec": {"holderIdentity": holder}}
    assert holder_claims(fence) is claims


@pytest.mark.parametrize(
    ("text", "valid"),
    [(ME, True), ("a/b.c", True), ("", False), ("metricat", False), ("a/b/c", False), ("A/b", False), ("a/b\n", False)],
)
def test_operator_identity_is_a_namespace_and_a_name(text: str, valid: bool) -> None:  # noqa: FBT001
    assert naming.is_operator_identity(text) is valid


def test_service_account_of_the_chart_has_the_name_of_the_lease() -> None:
    """The access review of another operator derives its ServiceAccount from its Lease."""
    [deployment] = [one for one in chart.render() if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    [lease] = [one["value"] for one in pod["containers"][0]["env"] if one["name"] == "METRICAT_LEASE"]
    assert lease == f"{NAMESPACE}/{pod['serviceAccountName']}" == f"{NAMESPACE}/{RELEASE}"
    assert deployment["metadata"]["name"] == RELEASE
