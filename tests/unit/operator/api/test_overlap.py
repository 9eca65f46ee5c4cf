"""A node that several targets select has one agent: that of the oldest."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.api.nodes import NodeSelector
from metricat_operator.api.overlap import by_age, claim, owners, selected
from metricat_operator.api.parse import Parsed, parse
from metricat_operator.api.pools import owner, requirements
from metricat_operator.api.selectors import Requirement, contradict, disjoint_filter, in_affinity, matches
from metricat_operator.api.v1alpha1 import MAX_TERMS
from metricat_operator.facts.model import Facts, Manifest, Node
from metricat_operator.manifests import Context, build_children
from metricat_operator.status import compute_status

KEYS, VALUES = st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "z"])
LABELS = st.dictionaries(KEYS, VALUES)
VALUED = st.fixed_dictionaries(
    {"key": KEYS, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(VALUES, min_size=1, max_size=3)}
)
BARE = st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(["Exists", "DoesNotExist"])})
SELECTOR = st.fixed_dictionaries({"matchLabels": LABELS, "matchExpressions": st.lists(VALUED | BARE, max_size=2)})
POOL = SELECTOR.filter(lambda one: one["matchLabels"] or one["matchExpressions"])
TARGETS = st.lists(st.tuples(st.integers(0, 2), SELECTOR, st.lists(POOL, max_size=1)), min_size=1, max_size=4)
REQUIREMENT = st.builds(
    lambda one: Requirement(one["key"], one["operator"], tuple(one.get("values", ()))), VALUED | BARE
)


def target(number: int, born: int, selector: Manifest, pools: list[Manifest]) -> Manifest:
    named = [{"name": f"p{place}", "nodeSelector": one} for place, one in enumerate(pools)]
    metadata = {"name": f"t{number}", "namespace": "m", "creationTimestamp": f"2030-01-01T00:00:0{born}Z"}
    return {"metadata": metadata, "spec": {"nodeSelector": selector, "pools": named}}


def parsed(targets: list[Manifest]) -> list[tuple[Manifest, Parsed]]:
    """Yield each target with the older targets, the oldest first."""
    ranked = by_age(claim(one) for one in targets)
    named = {one["metadata"]["name"]: one for one in targets}
    return [
        (named[one.name], parse(named[one.name]["spec"], tuple(ranked[:place]))) for place, one in enumerate(ranked)
    ]


def admits(one: Manifest, found: Parsed, labels: dict[str, str]) -> list[str]:
    """Return the target's DaemonSets that put an agent on this node."""
    assert found.spec is not None
    context = Context(one["metadata"]["name"], "m", "uid", found.spec, "image", older=selected(found.older))
    node = {"kubernetes.io/os": "linux", **labels}
    sets = [child for child in build_children(context) if child["kind"] == "DaemonSet"]
    return [child["metadata"]["name"] for child in sets if in_affinity(child["spec"]["template"]["spec"], node)]


@given(drawn=TARGETS, labels=LABELS)
def test_a_node_runs_the_agent_of_the_oldest_target_and_no_other(
    drawn: list[tuple[int, Manifest, list[Manifest]]], labels: dict[str, str]
) -> None:
    ranked = parsed([target(number, *one) for number, one in enumerate(drawn)])
    if any(found.errors for _, found in ranked):
        assert all(str(MAX_TERMS) in error for _, found in ranked for error in found.errors)
        return
    selecting = [one for one, _ in ranked if matches(claim(one).selects or (), labels)]
    for one, found in ranked:
        runs = admits(one, found, labels)
        assert len(runs) == (1 if selecting and one is selecting[0] else 0)
        assert bool(owner(found.pools, labels)) == bool(runs)
        taken = owners(claim(one).selects or (), found.older, [labels])
        assert bool(taken) == (one in selecting[1:])


@given(one=REQUIREMENT, other=REQUIREMENT, labels=LABELS)
def test_contradicting_requirements_never_hold_together(
    one: Requirement, other: Requirement, labels: dict[str, str]
) -> None:
    assert contradict(one, other) == contradict(other, one)
    if contradict(one, other):
        assert not (one.holds(labels) and other.holds(labels))


def all_of(**labels: str) -> tuple[Requirement, ...]:
    return requirements(NodeSelector.model_validate({"matchLabels": labels}))


def test_targets_that_divide_nodes_by_one_label_need_one_term() -> None:
    teams = [all_of(team=f"t{number}") for number in range(200)]
    [together] = disjoint_filter((), teams)
    assert together == (Requirement("team", "In", tuple(sorted(f"t{number}" for number in range(200)))),)
    assert disjoint_filter(teams[7], teams[:7] + teams[8:]) == ()
    assert disjoint_filter(all_of(team="t1", zone="eu"), [all_of(team="t1", gpu="yes")]) == (all_of(gpu="yes"),)
    assert disjoint_filter(teams[1], [(), teams[2]]) == ((),)


CREATED = "2030-01-01T00:00:00Z"


def status(spec: dict[str, Any], *older: Manifest) -> dict[str, Any]:
    nodes = (Node("a", labels={"team": "x"}), Node("b", labels={"team": "y"}), Node("c"))
    claims = tuple(claim({"metadata": {"creationTimestamp": CREATED, **one["metadata"]}, **one}) for one in older)
    mine = {"metadata": {"name": "mine", "namespace": "m", "generation": 1}}
    return compute_status(mine, parse(spec, claims), Facts(nodes=nodes), (), CREATED)


def test_younger_target_reports_the_owners_of_its_nodes() -> None:
    found = status({}, target(1, 0, {"matchLabels": {"team": "x"}}, []))
    assert found["nodes"]["desired"] == 2
    accepted = found["conditions"][0]
    assert (accepted["status"], accepted["reason"]) == ("True", "Overlaps")
    assert "older MonitoringTargets: m/t1 (1 node). Exclude these nodes in spec.nodeSelector" in accepted["message"]


def test_too_many_terms_are_an_error_with_a_remedy() -> None:
    older = [target(number, 0, {"matchLabels": {f"a{number}": "x", f"b{number}": "x"}}, []) for number in range(7)]
    found = status({}, *older)
    accepted = found["conditions"][0]
    assert (accepted["status"], accepted["reason"]) == ("False", "Overlaps")
    assert "older targets (m/t0, m/t1, m/t2 and 4 more) also select nodes" in accepted["message"]
    assert "needs 128 terms, more than 64" in accepted["message"]
    assert status({}, *older[:6])["conditions"][0]["reason"] == "Accepted"


def test_too_many_terms_name_only_older_targets_that_share_nodes() -> None:
    elsewhere = target(9, 0, {"matchLabels": {"team": "y"}}, [])
    older = [target(number, 0, {"matchLabels": {f"a{number}": "x", f"b{number}": "x"}}, []) for number in range(7)]
    accepted = status({"nodeSelector": {"matchLabels": {"team": "x"}}}, elsewhere, *older)["conditions"][0]
    assert "older targets (m/t0, m/t1, m/t2 and 4 more) also select nodes" in accepted["message"]


def test_invalid_selector_claims_no_nodes() -> None:
    invalid = target(1, 0, {"matchExpressions": [{"key": "a", "operator": "Between"}]}, [])
    assert claim(invalid).selects is None
    assert status({}, invalid)["nodes"]["desired"] == 3
