"""Each cause of a missing agent has its own reason, and a message with the remedy.

The pods and events are those of the kubelet, the scheduler and the controllers of Kubernetes 1.36.
"""

from typing import Any

import pytest

from metricat_operator.api.parse import parse
from metricat_operator.cluster.pods import agent_pod, trim_pod
from metricat_operator.facts.model import Event, Facts, Manifest, Node, ObjectKey
from metricat_operator.status import compute_status, unexplained

TARGET: Manifest = {"metadata": {"name": "nodes", "namespace": "monitoring", "generation": 1}}


def daemon_set(**status: int) -> Manifest:
    metadata = {"name": "metricat-nodes", "namespace": "monitoring", "uid": "ds", "generation": 1}
    return {
        "metadata": {**metadata, "labels": {"metricat.dev/pool": "default"}},
        "status": {"observedGeneration": 1, **status},
    }


def pod(status: Manifest, **metadata: Any) -> Manifest:
    named = {"name": "metricat-nodes-x", "namespace": "monitoring", "uid": "pod", **metadata}
    return {"metadata": named, "spec": {"nodeName": "a"}, "status": status}


def container(state: Manifest, last: Manifest | None = None) -> Manifest:
    return {"phase": "Pending", "containerStatuses": [{"name": "agent", "state": state, "lastState": last or {}}]}


def waits(reason: str, message: str = "", last: Manifest | None = None) -> Manifest:
    return container({"waiting": {"reason": reason, "message": message}}, {"terminated": last} if last else None)


def facts(
    status: Manifest | None = None,
    event: Event | None = None,
    *,
    live: Manifest | None = None,
    node: Node | None = None,
    **metadata: Any,
) -> Facts:
    pods = [] if status is None else [agent_pod(trim_pod(pod(status, **metadata)))]
    about = "ds" if status is None else "pod"
    return Facts(
        children={ObjectKey("DaemonSet", "metricat-nodes"): live or daemon_set()},
        nodes=(node or Node("a"),),
        pods=tuple(pods),
        events={about: event} if event else {},
    )


def why(given: Facts) -> tuple[str, str]:
    [uncovered] = compute_status(TARGET, parse({}), given, (), "2030-01-02T03:04:05Z")["uncovered"]
    return uncovered["reason"], uncovered["message"]


MOUNT = 'MountVolume.SetUp failed for volume "web" : '
ENDED = {"exitCode": 2, "reason": "Error", "message": "metricat_agent: error:\n  no such collector: cpuu\n"}

PODS: dict[str, tuple[Manifest, Event | None, str, str]] = {
    "an image that cannot be pulled": (
        waits("ErrImagePull", "failed to pull image: not found"),
        None,
        "ImagePullBackOff",
        "failed to pull image: not found. Check that the image exists",
    ),
    "an image that cannot be pulled, during back-off": (
        waits("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: failed to pull image: not found'),
        None,
        "ImagePullBackOff",
        "failed to pull image: not found. Check that the image exists",
    ),
    "an agent that exits, during back-off": (
        waits("CrashLoopBackOff", "back-off 5m0s restarting failed container", ENDED),
        None,
        "CrashLoopBackOff",
        "error: no such collector: cpuu. See: kubectl logs -n monitoring metricat-nodes-x --previous",
    ),
    "an agent that has just exited": (
        container({"terminated": ENDED}),
        None,
        "CrashLoopBackOff",
        "exit code 2: metricat_agent: error: no such collector: cpuu. See: kubectl logs",
    ),
    "too little memory": (
        waits("CrashLoopBackOff", "back-off", {"exitCode": 137, "reason": "OOMKilled"}),
        None,
        "OOMKilled",
        "The agent exceeded its memory limit. Raise spec.agent.resources.limits.memory",
    ),
    "a missing secret": (
        waits("ContainerCreating"),
        Event("FailedMount", MOUNT + 'secret "agent-tls" not found'),
        "ObjectNotFound",
        'secret "agent-tls" not found. Create it in the namespace monitoring',
    ),
    "a mount that hangs": (
        waits("ContainerCreating"),
        Event("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[root]: timed out waiting"),
        "HungMount",
        "timed out waiting. Check the node for an unreachable network filesystem",
    ),
    "a missing path": (
        waits("ContainerCreating"),
        Event("FailedMount", MOUNT + "hostPath type check failed: /host is not a directory"),
        "FailedMount",
        "is not a directory. Check the node, and: kubectl describe pod -n monitoring metricat-nodes-x",
    ),
    "a network plugin that fails": (
        waits("ContainerCreating"),
        Event("FailedCreatePodSandBox", 'plugin type="bridge" failed'),
        "FailedCreatePodSandBox",
        """plugin type="bridge" failed. Read the kubelet's log""",
    ),
    "a full node": (
        {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes are available: 1 Insufficient memory.",
                }
            ],
        },
        None,
        "Unschedulable",
        "0/3 nodes are available: 1 Insufficient memory. Free resources on the node",
    ),
    "an agent that is not ready": ({"phase": "Running"}, None, "NotReady", "its readiness probe fails"),
    "an unknown reason": (
        waits("SomethingNew", "whatever"),
        None,
        "SomethingNew",
        "whatever. See: kubectl describe",
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_pod_that_is_not_ready_has_reason_and_remedy(case: str) -> None:
    status, event, reason, words = PODS[case]
    found = why(facts(status, event))
    assert found[0] == reason
    assert words in found[1]


FORBIDDEN = 'Error creating: pods "metricat-nodes-" is forbidden: '
REFUSALS = {
    FORBIDDEN + 'violates PodSecurity "restricted:latest": hostPath volumes (volume "proc")': (
        "PodSecurity",
        "kubectl label namespace monitoring pod-security.kubernetes.io/enforce=privileged",
    ),
    FORBIDDEN + "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2": ("QuotaExceeded", "requested"),
    FORBIDDEN + "failed quota: few: must specify limits.cpu for: agent": ("QuotaExceeded", "must specify limits.cpu"),
    'Error creating: admission webhook "policy.example" denied the request: no hostPath': (
        "FailedCreate",
        "no hostPath. Exempt the pods of the DaemonSet metricat-nodes in the namespace monitoring",
    ),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_rejected_pod_has_reason_and_remedy(message: str) -> None:
    reason, words = REFUSALS[message]
    found = why(facts(event=Event("FailedCreate", message)))
    assert found[0] == reason
    assert words in found[1]
    assert "Error creating" not in found[1]


@pytest.mark.parametrize(
    ("since", "reason"), [("2030-01-02T00:00:09Z", "NotReady"), ("2030-01-01T23:00:00Z", "CrashLoopBackOff")]
)
def test_earlier_exit_is_not_the_reason_of_a_running_agent(since: str, reason: str) -> None:
    status = container({"running": {"startedAt": "2030-01-02T00:00:00Z"}}, {"terminated": {"exitCode": 1}})
    status |= {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": since}]}
    assert why(facts(status))[0] == reason


def test_message_of_a_node_that_is_not_ready_is_quoted() -> None:
    node = Node("a", ready=False, why="Kubelet stopped posting node status.")
    assert why(facts({"phase": "Running"}, node=node))[1] == (
        "The node itself is not ready: Kubelet stopped posting node status. See: kubectl describe node a"
    )


def test_rollout_is_the_reason_while_agents_are_replaced() -> None:
    rolling = daemon_set(updatedNumberScheduled=1, currentNumberScheduled=3, desiredNumberScheduled=3)
    going: dict[str, Any] = {"deletionTimestamp": "2030-01-02T03:04:05Z"}
    assert why(facts(live=rolling)) == (
        "RolloutInProgress",
        "The agent is being replaced: 1 of 3 nodes of the pool have the newest version.",
    )
    assert why(facts({"phase": "Running"}, live=rolling, **going))[0] == "RolloutInProgress"
    assert why(facts({"phase": "Running"}, **going))[0] == "Terminating"
    assert why(facts(waits("ImagePullBackOff"), live=rolling))[0] == "ImagePullBackOff"
    assert why(facts(event=Event("FailedCreate", "exceeded quota: few"), live=rolling))[0] == "QuotaExceeded"
    assert why(facts(event=Event("SuccessfulDelete", "Deleted pod"), live=rolling))[0] == "RolloutInProgress"


def test_events_are_requested_only_for_unexplained_objects() -> None:
    def requested(given: Facts) -> dict[str, Any]:
        return dict(unexplained(parse({}), given))

    assert requested(facts()) == {"ds": 1}
    assert requested(facts(waits("ContainerCreating"))) == {"pod": "ContainerCreating"}
    assert requested(facts(waits("ImagePullBackOff"))) == {}
    assert requested(facts(node=Node("a", ready=False))) == {}
    not_observed = daemon_set()
    not_observed["metadata"]["generation"] = 2
    assert requested(facts(live=not_observed)) == {}
    nodes = tuple(Node(f"n{at}") for at in range(100))
    creating = waits("ContainerCreating")
    pods = [{**pod(creating, uid=f"p{at}"), "spec": {"nodeName": f"n{at}"}} for at in range(100)]
    many = Facts(nodes=nodes, pods=tuple(agent_pod(trim_pod(one)) for one in pods))
    assert 0 < len(requested(many)) < 10
