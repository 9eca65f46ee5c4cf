"""The reasons of conditions and of nodes without a ready agent, each with its meaning and its remedy."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from metricat_operator.conditions.types import ConditionType


class Group(StrEnum):
    """A table of reasons that do not belong to one condition."""

    NODE = "status.uncovered"
    """Why a node has no ready agent."""
    QUERY = "RulesLoaded and Scraped"
    """Why a Prometheus could not be queried."""


@dataclass(frozen=True)
class ReasonInfo:
    """The meaning of a reason in a condition or group, and its remedy."""

    where: ConditionType | Group
    meaning: str
    remedy: str = ""
    """May hold NAMESPACE, POD and DAEMONSET. Ends without a period after a command, so that it can be copied."""

    def fill(self, *, namespace: str, pod: str, daemon_set: str) -> str:
        """Return the remedy for one pod, as plain text."""
        names = {"NAMESPACE": namespace, "POD": pod, "DAEMONSET": daemon_set}
        return re.sub(r"\b(NAMESPACE|POD|DAEMONSET)\b", lambda found: names[found[0]], self.remedy.replace("`", ""))


def _accepted(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.ACCEPTED, meaning, remedy)


def _claimed(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.CLAIMED, meaning, remedy)


def _applied(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.APPLIED, meaning, remedy)


def _nodes(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.NODES_SELECTED, meaning, remedy)


def _agents(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.AGENTS_READY, meaning, remedy)


def _node(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(Group.NODE, meaning, remedy)


def _selected(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.SELECTED, meaning, remedy)


def _rules(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.RULES_LOADED, meaning, remedy)


def _scraped(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.SCRAPED, meaning, remedy)


def _notified(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(ConditionType.NOTIFICATIONS_CONFIGURED, meaning, remedy)


def _query(meaning: str, remedy: str = "") -> ReasonInfo:
    return ReasonInfo(Group.QUERY, meaning, remedy)


_DESCRIBE_POD = "If this persists: `kubectl describe pod -n NAMESPACE POD`"
_PATCH = "Run the patch in the message."
_IMAGE = (
    "Check that the image exists and that the node can reach its registry. For a private registry, set "
    "the chart's `imagePullSecrets`. The Secret must exist in the operator's namespace and in the target's "
    "namespace."
)


class Reason(StrEnum):
    """A reason that the operator sets. A condition or a node may also hold a reason of the API server or a kubelet."""

    notes: tuple[ReasonInfo, ...]

    # Accepted
    ACCEPTED = "Accepted", _accepted("True: the spec is valid.")
    ACCEPTED_WITH_WARNINGS = (
        "AcceptedWithWarnings",
        _accepted(
            "True: the spec is valid. It has a deprecated or unknown field, an expression that Metricat cannot parse "
            "as PromQL, or a critical threshold that is reached before that of the warning.",
            "Correct the field that the message names. The Prometheus Operator decides whether PromQL is valid; see "
            "`RuleRejected`.",
        ),
    )
    INVALID = (
        "Invalid",
        _accepted(
            "A field is invalid or contradicts another field. The objects of the last accepted spec stay.",
            "Change the field that the message names.",
        ),
        _applied(
            "The API server or an admission webhook rejects an object.", "Correct the cause that the message quotes."
        ),
    )
    OVERLAPS = (
        "Overlaps",
        _accepted(
            "True: some selected nodes belong to older MonitoringTargets. False: excluding the nodes of older "
            "targets takes more than 64 node affinity terms.",
            "Exclude the nodes in `spec.nodeSelector` of either target. The message names the older targets.",
        ),
        _nodes(
            "Every selected node belongs to an older MonitoringTarget. The message names it.",
            "Exclude the nodes in `spec.nodeSelector` of either target, or delete the target that you do not need.",
        ),
        _agents("Every selected node belongs to an older MonitoringTarget.", "See `NodesSelected`."),
        _scraped("Every selected node belongs to an older MonitoringTarget.", "See `NodesSelected`."),
        _node(
            "An agent of another target or pool still runs on the node.",
            "Wait for that agent to stop, unless its target is paused or rejected. To check, run: "
            "`kubectl get mtarget -A`",
        ),
    )

    # Claimed
    CLAIMED = "Claimed", _claimed("True: the message names the operator, as in `status.operator`.")
    OTHER_OPERATORS = (
        "OtherOperators",
        _claimed(
            "True: one operator manages the target. The operators of other releases also watch its namespace, and "
            "leave the target to that operator.",
            "Let one operator watch each namespace (`operator.namespaces` in the chart), or name one: "
            "`kubectl annotate mtarget NAME -n NAMESPACE --overwrite metricat.dev/operator=NAMESPACE/NAME`",
        ),
    )
    CLAIMED_BY_OTHER = (
        "ClaimedByOther",
        _claimed(
            "Only in events, logs and metrics: this operator leaves the target to the operator that claimed it.",
            "The same as for `OtherOperators`.",
        ),
    )
    NAMED_OPERATOR = (
        "NamedOperator",
        _claimed(
            "Only in events, logs and metrics: this operator leaves the target to the operator that its annotation "
            "`metricat.dev/operator` names.",
            "Nothing.",
        ),
    )
    OPERATOR_NOT_FOUND = (
        "OperatorNotFound",
        _claimed(
            "The annotation `metricat.dev/operator` names an operator that does not run, or that does not watch this "
            "namespace. Another operator manages the target.",
            "Correct or remove the annotation: `kubectl annotate mtarget NAME -n NAMESPACE metricat.dev/operator-`",
        ),
    )
    OLDER_OPERATOR = (
        "OlderOperator",
        _claimed(
            "An operator of an older version manages the target. That version does not read claims, so the newer "
            "operator leaves the target to it.",
            "Upgrade or uninstall the release that the message names.",
        ),
    )
    CLAIM_NOT_STORED = (
        "ClaimNotStored",
        _claimed(
            "The CRD of MonitoringTargets is older than the operator and has no `status.operator`. Operators of other "
            "releases cannot detect that the target has an operator.",
            "Update the CRDs: `kubectl apply --server-side --force-conflicts -f crds`",
        ),
    )

    # Applied
    APPLIED = "Applied", _applied("True: every managed object matches the spec.")
    NOT_ACCEPTED = (
        "NotAccepted",
        _applied(
            "Unknown: the spec is rejected. The operator keeps the objects of the last accepted spec.",
            "See `Accepted`.",
        ),
        _nodes("Unknown: the spec is rejected, and the MonitoringTarget has no DaemonSet.", "See `Accepted`."),
        _rules("Unknown: the spec is rejected, and the MonitoringTarget has no PrometheusRule.", "See `Accepted`."),
    )
    PAUSED = (
        "Paused",
        _applied(
            "Unknown: `spec.paused` is true, so the operator changes no managed objects.",
            """`kubectl patch mtarget NAME -n NAMESPACE --type merge -p '{"spec": {"paused": false}}'`""",
        ),
    )
    NOT_SERVED = (
        "NotServed",
        _applied(
            "The CRDs of the Prometheus Operator, or some of them, are not installed.",
            "Run the `helm install` command in the message. The operator then creates the missing objects "
            "automatically. Until then, the agents run without these objects.",
        ),
        _selected("Unknown: the CRD ServiceMonitor or PrometheusRule is not installed.", "See `Applied`."),
        _rules("Unknown: the CRD PrometheusRule is not installed.", "See `Applied`."),
        _scraped("Unknown: the CRD ServiceMonitor is not installed.", "See `Applied`."),
        _notified("Unknown: the CRD AlertmanagerConfig is not installed.", "See `Applied`."),
    )
    NAME_CONFLICT = (
        "NameConflict",
        _applied(
            "An object of this name exists and belongs to another owner.",
            "Delete that object if it is not needed. Otherwise recreate the MonitoringTarget under another name.",
        ),
    )
    MUTATED_BY_ADMISSION = (
        "MutatedByAdmission",
        _applied(
            "A field of an object is changed at each write, most likely by an admission webhook or policy. The "
            "message names the first such field. `AgentsReady` does not depend on it.",
            "Exempt objects labelled `app.kubernetes.io/managed-by=metricat-operator`, or set the field in the target "
            "as the policy requires.",
        ),
    )
    INTERNAL_ERROR = (
        "InternalError",
        _applied(
            "Unknown: an error occurred in Metricat itself. All conditions except `Applied` and `Monitored` stay "
            "unchanged.",
            "Report the error, with the operator's log. The operator retries automatically.",
        ),
    )
    NAMESPACE_TERMINATING = "NamespaceTerminating", _applied("The namespace is being deleted.", "Nothing.")
    FORBIDDEN = (
        "Forbidden",
        _applied(
            "The operator lacks a permission, or an admission policy rejects an object.",
            "If the message names a verb and a resource, check the chart's ClusterRole. Otherwise check the policy "
            "that it names.",
        ),
    )

    # NodesSelected
    NODES_SELECTED = (
        "NodesSelected",
        _nodes("True: the spec selects nodes, and so does each pool that may not be empty."),
    )
    EMPTY_ALLOWED = "EmptyAllowed", _nodes("True: the target has no nodes, and `spec.allowEmpty` is true.")
    EMPTY_POOL = (
        "EmptyPool",
        _nodes(
            "A pool has no node. The message names the requirement that no node meets, or the owner of its nodes. "
            "`Ready` and `Monitored` do not depend on it.",
            "Correct `spec.pools[].nodeSelector`. If the pool may have no nodes, set its `allowEmpty: true`.",
        ),
    )
    UNSUPPORTED_NODES = (
        "UnsupportedNodes",
        _nodes(
            "Only nodes that cannot run an agent match: Windows nodes or virtual nodes.", "Select Linux nodes as well."
        ),
        _agents("Only nodes that cannot run an agent match.", "See `NodesSelected`."),
        _scraped("Only nodes that cannot run an agent match.", "See `NodesSelected`."),
    )

    # AgentsReady
    AGENTS_READY = "AgentsReady", _agents("True: every node has a ready agent of the newest version.")
    NODES_UNCOVERED = (
        "NodesUncovered",
        _agents(
            "Some nodes have no ready agent. The message has their number and the names of the first nodes.",
            "See `status.uncovered`: it lists up to 50 nodes, each with its reason.",
        ),
    )
    ROLLOUT_IN_PROGRESS = (
        "RolloutInProgress",
        _agents("Some nodes still run an older agent.", "Wait."),
        _node("The agent is being replaced.", _DESCRIBE_POD),
    )
    NO_NODES = (
        "NoNodes",
        _nodes(
            "No node matches `spec.nodeSelector`. The message names the requirement that no node meets, and the "
            "nearest label of the nodes.",
            "Correct `spec.nodeSelector`. If the target may have no nodes, for example because an autoscaler removes "
            "all of them, set `spec.allowEmpty: true`.",
        ),
        _agents("No node matches. True: `spec.allowEmpty` allows it.", "See `NodesSelected`."),
        _scraped("No node matches. True: `spec.allowEmpty` allows it.", "See `NodesSelected`."),
    )
    NO_DAEMON_SET = "NoDaemonSet", _agents("The agents are not deployed.", "See `Applied`.")

    # Nodes without a ready agent
    NODE_NOT_READY = "NodeNotReady", _node("The node itself is not ready.", "`kubectl describe node NODE`")
    TAINT_NOT_TOLERATED = (
        "TaintNotTolerated",
        _node(
            "The node has a taint that the agents of its pool do not tolerate.",
            "Add a toleration to `spec.agent.tolerations` or to the tolerations of the pool, or exclude the node.",
        ),
    )
    ERR_IMAGE_PULL = "ErrImagePull", _node("The node cannot pull the image.", _IMAGE)
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff", _node("The node cannot pull the image.", _IMAGE)
    INVALID_IMAGE_NAME = (
        "InvalidImageName",
        _node("The name of the image is invalid.", "Correct the chart's `image.agent`."),
    )
    ERR_IMAGE_NEVER_PULL = (
        "ErrImageNeverPull",
        _node(
            "The image is not on the node, and the pull policy is `Never`.",
            "Load the image onto the node, or set the chart's `image.agent.pullPolicy: IfNotPresent`.",
        ),
    )
    CRASH_LOOP_BACK_OFF = (
        "CrashLoopBackOff",
        _node("The agent exits and is restarted.", "See: `kubectl logs -n NAMESPACE POD --previous`"),
    )
    NOT_READY = (
        "NotReady",
        _node("The agent runs, but its readiness probe fails.", "See: `kubectl logs -n NAMESPACE POD`"),
        _query("No pod of the Prometheus is ready.", "`kubectl describe prometheus NAME -n NAMESPACE`"),
    )
    OOM_KILLED = (
        "OOMKilled",
        _node(
            "The agent exceeded its memory limit.",
            "Raise `spec.agent.resources.limits.memory`, or the limit of the pool.",
        ),
    )
    EVICTED = (
        "Evicted",
        _node("The node ran out of a resource.", "Wait: the DaemonSet controller retries automatically."),
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        _node(
            "The scheduler cannot place the pod on the node, usually because the node lacks free CPU or memory. The "
            "message holds the cause.",
            "Free resources on the node, lower `spec.agent.resources`, or set `spec.agent.priorityClassName`.",
        ),
    )
    POD_SECURITY = (
        "PodSecurity",
        _node(
            "Pod Security rejects the `hostPath` volumes of the agent. After each rejection, the DaemonSet controller "
            "waits longer before its next attempt.",
            "Allow `hostPath` volumes: `kubectl label namespace NAMESPACE "
            "pod-security.kubernetes.io/enforce=privileged --overwrite`, "
            "then immediately: `kubectl rollout restart -n NAMESPACE daemonset DAEMONSET`",
        ),
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        _node(
            "A ResourceQuota rejects the pod.",
            "Raise the ResourceQuota of the namespace `NAMESPACE`, or create the target in a namespace of its own.",
        ),
    )
    FAILED_CREATE = (
        "FailedCreate",
        _node(
            "The API server rejects the pod, usually because of an admission rule.",
            "Exempt the pods of the DaemonSet `DAEMONSET` in the namespace `NAMESPACE` from this rule.",
        ),
    )
    OBJECT_NOT_FOUND = (
        "ObjectNotFound",
        _node(
            "A Secret or ConfigMap that the spec names does not exist.",
            "Create it in the namespace `NAMESPACE`, or correct its name in the spec.",
        ),
    )
    CREATE_CONTAINER_CONFIG_ERROR = (
        "CreateContainerConfigError",
        _node(
            "The kubelet cannot configure the container, for example because a Secret lacks a key.",
            "See: `kubectl describe pod -n NAMESPACE POD`",
        ),
    )
    FAILED_MOUNT = (
        "FailedMount",
        _node("The node cannot mount a volume.", "Check the node, and: `kubectl describe pod -n NAMESPACE POD`"),
    )
    HUNG_MOUNT = (
        "HungMount",
        _node(
            "A mount on the node does not respond.",
            "Check the node for an unreachable network filesystem (`mount`, `df`, `dmesg`).",
        ),
    )
    FAILED_CREATE_POD_SANDBOX = (
        "FailedCreatePodSandBox",
        _node("The container runtime or the network plugin of the node fails.", "Read the kubelet's log on the node."),
    )
    CONTAINER_CREATING = "ContainerCreating", _node("The node is preparing the pod.", _DESCRIBE_POD)
    POD_INITIALIZING = "PodInitializing", _node("The node is preparing the pod.", _DESCRIBE_POD)
    PENDING = "Pending", _node("The node has not started the pod yet.", _DESCRIBE_POD)
    WAITING = "Waiting", _node("The container waits, and the kubelet reports no reason.", _DESCRIBE_POD)
    TERMINATING = (
        "Terminating",
        _node(
            "The pod is being deleted.",
            "If this persists, the node cannot stop the pod. Check that the node is down, then run: "
            "`kubectl delete pod -n NAMESPACE POD --force`",
        ),
    )
    NO_POD = (
        "NoPod",
        _node(
            "The DaemonSet controller has not created a pod yet.",
            "If this persists: `kubectl describe daemonset -n NAMESPACE DAEMONSET`",
        ),
    )
    NOT_APPLIED = (
        "NotApplied",
        _node(
            "The DaemonSet does not select the node yet, because the spec is not applied.",
            "See `Applied`. While `spec.paused` is true, the spec is not applied.",
        ),
    )
    VIRTUAL_NODE = (
        "VirtualNode",
        _node("A virtual node runs no DaemonSets. It does not affect `Ready`.", "Nothing."),
    )

    # Selected, and NotificationsConfigured of Alertmanagers
    SELECTED = "Selected", _selected("True: the message names the Prometheus.")
    NO_PROMETHEUS = (
        "NoPrometheus",
        _selected("No Prometheus object exists.", "Create one, or install kube-prometheus-stack."),
    )
    LABEL_MISSING = (
        "LabelMissing",
        _selected(
            "No Prometheus selects the labels of the object.",
            f"{_PATCH} Labels that Metricat sets (`app.kubernetes.io/name`, ...) cannot be changed: in this case, "
            f"select by "
            "another label in the Prometheus.",
        ),
    )
    SEVERAL_PROMETHEUSES = (
        "SeveralPrometheuses",
        _selected(
            "The spec does not set the labels of the objects, and several Prometheuses can select the objects by "
            "different labels. The operator sets none of them.",
            f"{_PATCH} Use the labels of the Prometheus that should scrape the agents.",
        ),
    )
    SELECTOR_NOT_SET = (
        "SelectorNotSet",
        _selected("The Prometheus has no selector for this kind of object, so it selects no object.", _PATCH),
    )
    INVALID_SELECTOR = (
        "InvalidSelector",
        _selected("A selector of the Prometheus has an unknown operator.", "Use one of the operators in the message."),
    )
    NAMESPACE_NOT_SELECTED = (
        "NamespaceNotSelected",
        _selected("The Prometheus does not select the namespace.", "Run the label or patch command in the message."),
    )
    NAMESPACE_NOT_WATCHED = (
        "NamespaceNotWatched",
        _selected(
            "The Prometheus Operator does not watch the namespace, because of its flags `--namespaces`, "
            "`--deny-namespaces` or similar.",
            "Add the namespace to `--namespaces`, or remove it from `--deny-namespaces`. Or create the target in a "
            "watched namespace.",
        ),
    )
    NO_MANAGING_OPERATOR = (
        "NoManagingOperator",
        _selected(
            "No running Prometheus Operator manages the Prometheus.",
            "Check the flags `--controller-id` and `--*-instance-namespaces` of the Prometheus Operators, or use "
            "another Prometheus.",
        ),
    )
    NOT_IN_BINDINGS = (
        "NotInBindings",
        _selected(
            "The Prometheus selects the object, but the Prometheus Operator has bound the object only to other "
            "Prometheuses (`status.bindings`).",
            "Wait a minute. If this persists, read the Prometheus Operator's log.",
        ),
    )
    MONITOR_REJECTED = (
        "MonitorRejected",
        _selected(
            "The Prometheus Operator rejects the ServiceMonitor. The message quotes the error.",
            "Often a Secret that `spec.agent.web` names is missing. After you create it, this reason stays for up to "
            "an hour; `Scraped` shows whether scraping works.",
        ),
    )
    RULES_ON_OTHER_PROMETHEUS = (
        "RulesOnOtherPrometheus",
        _selected(
            "Unknown: one Prometheus has the samples, and another Prometheus has the rules.",
            "Nothing if remote write sends the samples to the Prometheus with the rules. Otherwise run the patch in "
            "the message.",
        ),
    )
    NO_MONITOR = (
        "NoMonitor",
        _selected("Unknown: the ServiceMonitor does not exist.", "See `Applied`."),
        _scraped("Unknown: the ServiceMonitor does not exist.", "See `Applied`."),
    )
    NOTIFICATIONS_CONFIGURED = (
        "NotificationsConfigured",
        _notified("True: the message names the Alertmanager."),
    )
    NO_ALERTMANAGER = (
        "NoAlertmanager",
        _notified("No Alertmanager object exists.", "Create one, or install kube-prometheus-stack."),
    )
    NO_CONFIG = "NoConfig", _notified("Unknown: the AlertmanagerConfig does not exist.", "See `Applied`.")
    CONFIG_REJECTED = (
        "ConfigRejected",
        _notified(
            "The Prometheus Operator rejects the AlertmanagerConfig. The message quotes the error.",
            "Often a Secret, or a key in it, is missing: create it. The receivers then work immediately, but this "
            "reason stays for up to an hour.",
        ),
    )

    # RulesLoaded
    RULES_LOADED = (
        "RulesLoaded",
        _rules(
            "True: every rule is loaded. The message also names rules that need older samples than the Prometheus "
            "keeps.",
            "Raise `spec.retention` of the Prometheus (`8d` is enough for all shipped rules), or disable those rules "
            "in `spec.alerts.rules`.",
        ),
    )
    NO_RULES = (
        "NoRules",
        _rules("True: no rules are expected. False: a PrometheusRule does not exist.", "See `Applied`."),
    )
    RULES_NOT_LOADED = (
        "RulesNotLoaded",
        _rules(
            "Rule groups are missing in Prometheus, or do not hold the current rules.",
            "Wait two minutes, then: `kubectl logs -n NAMESPACE -l app.kubernetes.io/instance=NAME -c "
            "config-reloader`. If Prometheus rejects its configuration, read the log of the container "
            "`prometheus` instead (`-c prometheus`).",
        ),
    )
    RULE_REJECTED = (
        "RuleRejected",
        _rules(
            "The Prometheus Operator rejects the whole PrometheusRule because of a rule in `spec.alerts.extraGroups`. "
            "The shipped rules are in another PrometheusRule and stay active.",
            "Correct the rule. If the message does not name the rule, read: "
            "`kubectl logs -n NAMESPACE deploy/prometheus-operator`",
        ),
    )
    RULE_EVALUATION_FAILED = (
        "RuleEvaluationFailed",
        _rules(
            "Prometheus has loaded a rule and cannot evaluate it. The message quotes the error.",
            "For `many-to-many matching`, add an `on (...)` that is unique on one side.",
        ),
    )
    RELOAD_PENDING = (
        "ReloadPending",
        _rules(
            "Unknown: Prometheus has loaded rules of these names, but in an earlier version.",
            "Wait two minutes, then read the log that the message names.",
        ),
    )
    CONFIG_REJECTED_BY_PROMETHEUS = (
        "ConfigRejectedByPrometheus",
        _rules(
            "Unknown: Prometheus has loaded rules of these names, but rejects its newest configuration. The cause may "
            "be another object.",
            "`kubectl logs -n NAMESPACE -l app.kubernetes.io/instance=NAME -c prometheus`",
        ),
    )
    NOT_SELECTED = (
        "NotSelected",
        _rules("Unknown: no Prometheus selects the PrometheusRule.", "See `Selected`."),
        _scraped("Unknown: no Prometheus selects the ServiceMonitor.", "See `Selected`."),
    )

    # Scraped
    SCRAPED = "Scraped", _scraped("True: Prometheus has samples of every node.")
    TARGETS_DOWN = (
        "TargetsDown",
        _scraped(
            "Prometheus fails to scrape some nodes. The message shows up to three nodes without samples, each with the "
            "cause.",
            "For a timeout, check the network and the NetworkPolicies between Prometheus and the agent. For 401 and "
            "`x509`, check `spec.agent.web`.",
        ),
    )
    TARGETS_MISSING = (
        "TargetsMissing",
        _scraped(
            "Some nodes have no scrape target. They have no ready agent, or Prometheus has not discovered them yet, or "
            "Prometheus no longer discovers them.",
            "Fix the nodes without a ready agent first. With more than 1,000 nodes, set "
            "`spec.monitor.serviceDiscoveryRole: EndpointSlice`, because Endpoints list at most 1,000 agents.",
        ),
    )
    NO_TARGETS = (
        "NoTargets",
        _scraped(
            "Prometheus has discovered no agent.",
            "Run the `kubectl auth can-i` command in the message: it checks whether Prometheus may list pods. If the "
            "job is missing from the configuration of Prometheus, check `--namespaces` and `--deny-namespaces` of the "
            "Prometheus Operator.",
        ),
    )

    # Queries
    QUERY_PENDING = "QueryPending", _query("The first response has not arrived yet.", "Nothing.")
    QUERYING_DISABLED = (
        "QueryingDisabled",
        _query("The chart disables queries.", "`operator.prometheusQueries: {enabled: true, namespaces: [...]}`"),
    )
    NO_PODS = "NoPods", _query("The Prometheus has no pod.", "`kubectl describe prometheus NAME -n NAMESPACE`")
    TIMEOUT = (
        "Timeout",
        _query(
            "The Prometheus does not respond within 5 seconds.",
            "kube-prometheus installs NetworkPolicies that admit only known clients: run the command in the message, "
            "or apply [the policy](#the-networkpolicy).",
        ),
    )
    UNREACHABLE = (
        "Unreachable",
        _applied("The API server did not respond.", "Wait: the operator retries automatically."),
        _query(
            "The connection is refused or breaks.",
            "Read the log of the Prometheus: check whether it listens on its port.",
        ),
    )
    LISTENS_LOCALLY = (
        "ListensLocally",
        _query("`spec.listenLocal` is set.", "Remove `spec.listenLocal`. Until then, the condition stays Unknown."),
    )
    AUTHENTICATION_REQUIRED = (
        "AuthenticationRequired",
        _query(
            "The Prometheus or its proxy requires credentials.",
            "None: the condition stays Unknown, because Metricat sends no credentials.",
        ),
    )
    REDIRECTED = "Redirected", _query("The response is a redirect.", "Check `spec.routePrefix`.")
    INVALID_RESPONSE = (
        "InvalidResponse",
        _query("The response does not have the format of Prometheus' HTTP API.", "Check `spec.routePrefix`."),
    )
    RESPONSE_TOO_LARGE = (
        "ResponseTooLarge",
        _query(
            "The response exceeds 1 MiB (a PrometheusAgent with more than 160 nodes).",
            "None: the condition stays Unknown.",
        ),
    )
    TOO_MANY_SHARDS = (
        "TooManyShards",
        _query("The Prometheus has more than 16 shards.", "None: the condition stays Unknown."),
    )

    # Summaries
    READY = (
        "Ready",
        ReasonInfo(ConditionType.READY, "True. Otherwise `Ready` has the reason of `Accepted` or `AgentsReady`."),
    )
    MONITORED = (
        "Monitored",
        ReasonInfo(
            ConditionType.MONITORED,
            "True. Otherwise `Monitored` has the reason of `Selected`, `RulesLoaded` or `Scraped`.",
        ),
    )

    def __new__(cls, value: str, *notes: ReasonInfo) -> Self:
        """Create a member with this value and its notes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.notes = notes
        return member

    def note(self, where: ConditionType | Group) -> ReasonInfo | None:
        """Return the meaning of the reason in this condition or group; None if the reason does not occur in it."""
        return next((one for one in self.notes if one.where == where), None)


FORMER_REASONS: dict[str, Reason] = {
    "ChangedOnWrite": Reason.MUTATED_BY_ADMISSION,
    "NameTaken": Reason.NAME_CONFLICT,
    "NotAsked": Reason.QUERYING_DISABLED,
    "Asking": Reason.QUERY_PENDING,
    "NotUnderstood": Reason.INVALID_RESPONSE,
    "CredentialsWanted": Reason.AUTHENTICATION_REQUIRED,
    "TooLarge": Reason.RESPONSE_TOO_LARGE,
    "RuleFails": Reason.RULE_EVALUATION_FAILED,
    "RulesElsewhere": Reason.RULES_ON_OTHER_PROMETHEUS,
    "SelectsNone": Reason.SELECTOR_NOT_SET,
    "NotReconciled": Reason.NO_MANAGING_OPERATOR,
    "NotBound": Reason.NOT_IN_BINDINGS,
    "NotReloaded": Reason.RELOAD_PENDING,
    "NotDiscovered": Reason.NOT_SELECTED,
}
"""Former names of reasons, found in a status that an earlier version wrote."""

REASONS = {str(one): one for one in Reason}
