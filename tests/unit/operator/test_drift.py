"""Every change of a live child object is found, and API defaults are not.

The live objects are what a real API server made of our own manifests, managedFields included; the integration tests
edit and delete children on the real one.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from metricat_operator.child_kinds import BY_NAME, CHILD_KINDS
from metricat_operator.drift import Drift, find_drift, first_difference, foreign_fields
from support.paths import FIXTURES

CHILDREN = FIXTURES / "children"
KINDS = [kind.name for kind in CHILD_KINDS]


def load(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    desired, live = yaml.safe_load_all((CHILDREN / f"{kind}.yaml").read_text())
    return desired, live


@pytest.mark.parametrize("kind", KINDS)
def test_a_newly_applied_object_has_no_drift(kind: str) -> None:
    assert not find_drift(*load(kind))


def leaves(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in leaves(item, (*at, key))]
    if isinstance(value, list) and value:
        return [leaf for key, item in enumerate(value) for leaf in leaves(item, (*at, key))]
    return [at]


def put(document: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


@pytest.mark.parametrize("kind", KINDS)
def test_the_merge_keys_are_those_of_the_api_server(kind: str) -> None:
    """`managedFields` names an item of an associative list by its keys: `k:{"port":9100,"protocol":"TCP"}`."""
    _, live = load(kind)
    [entry] = [one for one in live["metadata"]["managedFields"] if one["manager"] == "metricat-operator"]
    assert set(associative(entry["fieldsV1"])) == {*BY_NAME[kind].merge_keys, "uid"}


def associative(fields: dict[str, Any]) -> Iterator[str]:
    """Return the first merge key of each item of an associative list."""
    for name, inner in fields.items():
        form, _, rest = name.partition(":")
        if form == "k":
            yield next(iter(json.loads(rest)))
        yield from associative(inner)


@pytest.mark.parametrize("kind", KINDS)
def test_a_different_value_of_any_field_needs_an_apply(kind: str) -> None:
    desired, live = load(kind)
    identity = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
    changed = set(leaves(desired)) - identity
    assert len(changed) > 5
    for path in changed:
        wanted = copy.deepcopy(desired)
        put(wanted, path, "another value")
        assert find_drift(wanted, live).apply, path


@pytest.mark.parametrize("kind", KINDS)
def test_an_owned_field_that_is_no_longer_desired_needs_an_apply(kind: str) -> None:
    desired, live = load(kind)
    del desired["metadata"]["labels"]["app.kubernetes.io/version"]
    assert find_drift(desired, live).apply


def test_quantities_are_compared_by_value() -> None:
    desired, live = load("DaemonSet")
    for manifest, text in ((desired, "1024Mi"), (live, "1Gi")):
        put(manifest, ("spec", "template", "spec", "containers", 0, "resources", "limits", "memory"), text)
    assert not find_drift(desired, live)


def edited(live: dict[str, Any], fields: dict[str, Any], manager: str = "kubectl-edit") -> dict[str, Any]:
    entry = {"manager": manager, "operation": "Update", "fieldsV1": fields}
    live["metadata"]["managedFields"].append(entry)
    return live


def test_each_repair_alone_is_drift() -> None:
    assert Drift(apply=True)
    assert Drift(remove=(("spec", "hostPID"),))
    assert not Drift()


def test_foreign_fields_are_removed_and_ours_stay() -> None:
    desired, live = load("DaemonSet")
    pod = live["spec"]["template"]["spec"]
    pod["hostPID"] = True
    pod["containers"].append({"name": "evil", "image": "evil"})
    pod["containers"][0]["resources"]["limits"]["cpu"] = "1"
    limit: dict[str, Any] = {"f:resources": {"f:limits": {"f:cpu": {}}}}
    containers = {'k:{"name":"agent"}': limit, 'k:{"name":"evil"}': {".": {}, "f:name": {}, "f:image": {}}}
    edited(live, {"f:spec": {"f:template": {"f:spec": {"f:hostPID": {}, "f:containers": containers}}}})

    found = find_drift(desired, live)
    assert not found.apply
    guard, *removals = found.patch("7")
    assert guard == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert {step["op"] for step in removals} == {"remove"}
    assert {step["path"] for step in removals} == {
        "/spec/template/spec/hostPID",
        "/spec/template/spec/containers/1",
        "/spec/template/spec/containers/0/resources/limits/cpu",
    }


def test_foreign_items_of_a_list_are_removed_from_its_end() -> None:
    desired, live = load("DaemonSet")
    containers = live["spec"]["template"]["spec"]["containers"]
    names = [f"evil{number}" for number in range(12)]
    containers += [{"name": name} for name in names]
    fields: dict[str, Any] = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}} for name in names}
    edited(live, {"f:spec": {"f:template": {"f:spec": {"f:containers": fields}}}})
    places = [int(step["path"].rsplit("/", 1)[1]) for step in find_drift(desired, live).patch("1")[1:]]
    assert places == sorted(places, reverse=True) == list(range(12, 0, -1))


@pytest.mark.parametrize(
    ("where", "item"), [("initContainers", {"name": "theirs", "image": "x"}), ("imagePullSecrets", {"name": "theirs"})]
)
def test_a_list_created_by_others_is_removed_whole(where: str, item: dict[str, str]) -> None:
    desired, live = load("DaemonSet")
    live["spec"]["template"]["spec"][where] = [item]
    fields: dict[str, Any] = {".": {}, 'k:{"name":"theirs"}': {".": {}, **{f"f:{key}": {} for key in item}}}
    edited(live, {"f:spec": {"f:template": {"f:spec": {f"f:{where}": fields}}}})
    assert [step["path"] for step in find_drift(desired, live).patch("1")[1:]] == [f"/spec/template/spec/{where}"]


def test_a_finalizer_of_others_stays() -> None:
    desired, live = load("Service")
    live["metadata"]["finalizers"] = ["example.com/x"]
    assert not find_drift(desired, edited(live, {"f:metadata": {"f:finalizers": {".": {}, 'v:"example.com/x"': {}}}}))


def all_fields(value: Any) -> Any:
    """Return the `fieldsV1` of a manager that owns all fields, with lists as a whole."""
    return {f"f:{key}": all_fields(item) for key, item in value.items()} if isinstance(value, dict) else {}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "spec" in load(kind)[1]])
def test_api_defaults_owned_by_others_are_not_drift(kind: str) -> None:
    desired, live = load(kind)
    fields = all_fields(live["spec"])
    if kind == "DaemonSet":
        [container] = live["spec"]["template"]["spec"]["containers"]
        agent = {".": {}, **all_fields(container)}
        fields["f:template"]["f:spec"]["f:containers"] = {".": {}, 'k:{"name":"agent"}': agent}
    assert not find_drift(desired, edited(live, {"f:spec": fields}, "velero"))


def test_the_default_mode_of_a_secret_owned_by_others_is_not_drift() -> None:
    desired, live = load("DaemonSet")
    volume = {"name": "tls", "secret": {"secretName": "tls"}}
    desired["spec"]["template"]["spec"]["volumes"].append(volume)
    live["spec"]["template"]["spec"]["volumes"].append({**volume, "secret": {"secretName": "tls", "defaultMode": 420}})
    fields: dict[str, Any] = {'k:{"name":"tls"}': {"f:secret": {"f:defaultMode": {}}}}
    edited(live, {"f:spec": {"f:template": {"f:spec": {"f:volumes": fields}}}}, "velero")
    assert find_drift(desired, live).remove == ()


def test_a_changed_default_is_removed() -> None:
    desired, live = load("DaemonSet")
    live["spec"]["template"]["spec"]["dnsPolicy"] = "Default"
    edited(live, {"f:spec": {"f:template": {"f:spec": {"f:dnsPolicy": {}}}}})
    assert find_drift(desired, live).remove == (("spec", "template", "spec", "dnsPolicy"),)


def test_foreign_fields_of_a_status_are_removed() -> None:
    status = {"nodes": {"ready": 1}, "conditions": []}
    written: dict[str, Any] = {
        "metadata": {"resourceVersion": "7"},
        "status": {**status, "conditions": [{"type": "Theirs"}]},
    }
    assert foreign_fields(status, written) == []
    written["status"] |= {"nodes": {"ready": 1, "scraped": 77}, "pools": [{"name": "ghost"}]}
    assert foreign_fields(status, written) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/status/nodes", "value": {"ready": 1}},
        {"op": "remove", "path": "/status/pools"},
    ]


def test_foreign_labels_and_annotations_stay() -> None:
    desired, live = load("DaemonSet")
    live["metadata"]["labels"]["theirs"] = "x"
    live["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    annotations: dict[str, Any] = {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}
    template = {"f:metadata": {"f:annotations": annotations}}
    edited(live, {"f:metadata": {"f:labels": {"f:theirs": {}}}, "f:spec": {"f:template": template}})
    assert not find_drift(desired, live)


def test_defaults_restored_by_our_own_patch_are_not_foreign() -> None:
    desired, live = load("Service")
    edited(live, {"f:spec": {"f:sessionAffinity": {}}}, manager="metricat-operator")
    assert not find_drift(desired, live)


def test_a_status_written_by_a_controller_is_not_drift() -> None:
    desired, live = load("DaemonSet")
    edited(live, {"f:spec": {"f:hostPID": {}}})["metadata"]["managedFields"][-1]["subresource"] = "status"
    assert not find_drift(desired, live)


def test_the_first_different_field_is_a_json_pointer() -> None:
    desired, live = load("DaemonSet")
    assert first_difference(desired, live) == ""
    container = live["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "mirror.example/agent:1"
    assert first_difference(desired, live) == "/spec/template/spec/containers/0/image"
    del live["metadata"]["labels"]["app.kubernetes.io/name"]
    assert first_difference(desired, live) == "/metadata/labels/app.kubernetes.io~1name"
