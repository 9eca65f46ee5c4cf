"""Every node has exactly one pool, and the scheduler and the status agree on which."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.api.parse import parse
from metricat_operator.api.pools import owner, requirements, resolve
from metricat_operator.api.selectors import Requirement, in_affinity
from metricat_operator.api.v1alpha1 import MAX_TERMS, Spec
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests import Context, build_children
from metricat_rules.settings import LevelSettings

KEYS, VALUES = st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "z"])
LABELS = st.dictionaries(KEYS, VALUES)
VALUED = st.fixed_dictionaries(
    {"key": KEYS, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(VALUES, min_size=1, max_size=3)}
)
BARE = st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(["Exists", "DoesNotExist"])})
SELECTOR = st.fixed_dictionaries({"matchLabels": LABELS, "matchExpressions": st.lists(VALUED | BARE, max_size=2)})
POOLS = st.lists(SELECTOR.filter(lambda one: one["matchLabels"] or one["matchExpressions"]), max_size=3)


def spec_of(selector: dict[str, Any], pools: list[dict[str, Any]]) -> dict[str, Any]:
    named = [{"name": f"p{place}", "nodeSelector": one} for place, one in enumerate(pools)]
    return {"nodeSelector": selector, "pools": named}


def daemon_sets(spec: Spec) -> list[Manifest]:
    context = Context("nodes", "monitoring", "uid", spec, "image")
    return [one for one in build_children(context) if one["kind"] == "DaemonSet"]


@given(selector=SELECTOR, pools=POOLS, labels=LABELS)
def test_a_node_runs_the_agent_of_its_pool_and_no_other(
    selector: dict[str, Any], pools: list[dict[str, Any]], labels: dict[str, str]
) -> None:
    found = parse(spec_of(selector, pools))
    if found.errors:
        assert f"more than {MAX_TERMS}" in found.errors[0]
        return
    assert found.spec is not None
    mine = owner(resolve(found.spec), labels)
    node = {"kubernetes.io/os": "linux", **labels}
    runs = [
        one["metadata"]["labels"]["metricat.dev/pool"]
        for one in daemon_sets(found.spec)
        if in_affinity(one["spec"]["template"]["spec"], node)
    ]
    assert runs == ([mine.name] if mine else [])


@given(requirement=VALUED | BARE, labels=LABELS)
def test_negated_requirement_holds_exactly_where_the_requirement_fails(
    requirement: dict[str, Any], labels: dict[str, str]
) -> None:
    one = Requirement(requirement["key"], requirement["operator"], tuple(requirement.get("values", ())))
    assert one.holds(labels) != one.negated().holds(labels)
    assert one.negated().negated() == one


def test_requirements_do_not_depend_on_the_order_of_a_selector() -> None:
    one = Spec.model_validate({"nodeSelector": {"matchLabels": {"a": "x"}}})
    other = Spec.model_validate(
        {"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "x"]}]}}
    )
    assert requirements(one.node_selector) == requirements(other.node_selector)


def test_a_pool_overrides_field_by_field() -> None:
    spec = Spec.model_validate(
        {
            "agent": {"port": 9200, "resources": {"limits": {"memory": "96Mi"}}, "extraLabels": {"a": "1", "b": "1"}},
            "alerts": {"rules": {"NodeCPUUsageHigh": {"warning": {"threshold": 70}}}},
            "pools": [
                {
                    "name": "gpu",
                    "nodeSelector": {"matchLabels": {"gpu": "yes"}},
                    "agent": {
                        "collectors": {"cpu": {"enabled": False}},
                        "resources": {"requests": {"cpu": "50m"}},
                        "extraLabels": {"b": "2"},
                        "tolerations": [],
                    },
                    "alerts": {"rules": {"NodeCPUUsageHigh": {"warning": {"for": "1h"}}}},
                }
            ],
        }
    )
    gpu, rest = resolve(spec)
    assert (gpu.agent.port, gpu.agent.collectors.cpu.enabled, gpu.agent.tolerations) == (9200, False, ())
    assert gpu.agent.resources.requests.model_dump() == {"cpu": "50m", "memory": "40Mi"}
    assert gpu.agent.resources.limits.memory == "96Mi"
    assert gpu.agent.extra_labels == {"a": "1", "b": "2"}
    assert gpu.rules.by_alert()["NodeCPUUsageHigh"].levels["warning"] == LevelSettings(duration="1h", threshold=70)
    assert rest.agent == spec.agent
    assert rest.rules == spec.alerts.rules


def test_exclude_and_include_patterns_of_pool_and_target_conflict() -> None:
    def errors(**network: str) -> tuple[str, ...]:
        pool = {"name": "gpu", "nodeSelector": {"matchLabels": {"gpu": "yes"}}}
        own = {"agent": {"collectors": {"netdev": {"includeDevices": "^ib", **network}}}}
        return parse({"agent": {"collectors": {"netdev": {"excludeDevices": "^veth"}}}, "pools": [pool | own]}).errors

    assert [error.partition(":")[0] for error in errors()] == ["spec.pools[0].agent.collectors.netdev"]
    assert errors(excludeDevices="") == ()


def test_errors_name_the_pool_and_the_remedy() -> None:
    many = {"matchLabels": {f"k{number}": "v" for number in range(5)}}
    pools = [
        {"name": "default", "nodeSelector": {"matchLabels": {"a": "x"}}},
        {"name": "same", "nodeSelector": many, "agent": {"resources": {"requests": {"memory": "1Gi"}}}},
        {"name": "same", "nodeSelector": many},
        {"name": "more", "nodeSelector": many},
        {"name": "odd", "nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        {"name": "empty", "nodeSelector": {}},
    ]
    errors = "\n".join(parse({"pools": pools[:5]}).errors)
    assert "spec.pools[0].name: default is the name of the pool of all other nodes" in errors
    assert "spec.pools[1].agent.resources.requests.memory: 1Gi is more than the limit, 128Mi" in errors
    assert "spec.pools[2].name: an earlier item has the name same" in errors
    assert "spec.pools[4].nodeSelector.matchExpressions[0]: In and NotIn need values" in errors
    assert "expressions is 125, more than 64" in errors
    assert "spec.pools[0].nodeSelector: a pool needs a label" in "\n".join(parse({"pools": pools[5:]}).errors)


def test_merged_maps_that_are_too_large_are_an_error_of_the_pool() -> None:
    labels = {f"l{number}": "x" for number in range(8)}
    pool = {
        "name": "gpu",
        "nodeSelector": {"matchLabels": {"gpu": "yes"}},
        "alerts": {"rules": {"NodeCPUUsageHigh": {"labels": {"team": "gpu"}}}},
    }
    [error] = parse({"alerts": {"rules": {"NodeCPUUsageHigh": {"labels": labels}}}, "pools": [pool]}).errors
    assert error.startswith("spec.pools[0].alerts.rules.NodeCPUUsageHigh.labels: merged with the target's settings: ")
    assert "8 items" in error


def test_each_level_of_an_alert_covers_a_node_once() -> None:
    spec = Spec.model_validate(
        {
            "pools": [
                {
                    "name": name,
                    "nodeSelector": {"matchLabels": {"pool": name}},
                    "agent": {"extraLabels": labels},
                    "alerts": {"rules": {"NodeCPUUsageHigh": {"warning": {"threshold": threshold}}}},
                }
                for name, threshold, labels in (("a", 95, {}), ("b", 95, {}), ("c", 90, {}), ("d", 99, {"team": "x"}))
            ]
        }
    )
    [rule] = [one for one in build_children(Context("n", "m", "u", spec, "i")) if one["kind"] == "PrometheusRule"]
    names = [group["name"] for group in rule["spec"]["groups"]]
    assert len(set(names)) == len(names)
    on_request = [one for group in rule["spec"]["groups"] for one in group["rules"]]
    warnings = {
        one["expr"].partition("pool")[2]
        for one in on_request
        if one.get("alert") == "NodeCPUUsageHigh" and one["labels"]["severity"] == "warning"
    }
    assert warnings == {'=~"a|b"} >= 95', '=~"c|default"} >= 90', '="d"} >= 99'}
    assert sum(one.get("alert") == "MetricatWatchdog" for one in on_request) == 1
    assert sum(one.get("record") == "metricat:node_cpu_usage:percent" for one in on_request) == 2
