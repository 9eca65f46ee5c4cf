"""Checks of one MonitoringTarget: its conditions, in the order of the chain from the spec to the samples."""

import re
from collections.abc import Iterator

from metricat_cli.checks.model import Check, State
from metricat_cli.targets import ClusterTarget
from metricat_operator import naming
from metricat_operator.conditions import Condition, ConditionType, Group, Reason
from metricat_operator.conditions.reasons import REASONS

_UNDECIDED = frozenset(
    {
        Reason.QUERYING_DISABLED,
        Reason.LISTENS_LOCALLY,
        Reason.AUTHENTICATION_REQUIRED,
        Reason.RESPONSE_TOO_LARGE,
        Reason.TOO_MANY_SHARDS,
        Reason.RULES_ON_OTHER_PROMETHEUS,
        Reason.PAUSED,
    }
)
"""Reasons for which a condition stays Unknown although the chain may work."""

_NO_FINALIZERS = '{"metadata":{"finalizers":null}}'
_COMMAND = re.compile(r"(?:kubectl|helm|echo|pip) \S.*$")


def conditions(target: ClusterTarget, *, stopped: bool = False) -> Iterator[Check]:
    """Yield the checks of the target's deletion and status, then one for each condition except the summaries.

    If the status is not current, yield no checks of conditions. `stopped`: the operator of the target does not run.
    """
    section = str(target)
    if target.deleted:
        patch = f"""kubectl patch mtarget {target.name} -n {target.namespace} --type=merge -p '{_NO_FINALIZERS}'"""
        remedy = f"Run the program that removes the finalizer. If it no longer exists: {patch}"
        command = remedy if target.finalizers else f"kubectl get mtarget {target.name} -n {target.namespace} -w"
        yield Check(section, "the target is not being deleted", State.FAILED, target.deletion, command)
    if not target.conditions or not target.current:
        earlier, none = "The status describes an earlier spec.", "The operator has not written a status yet."
        logs = f"kubectl logs -n {_place(target)} --tail=50"
        yield Check(section, "the status is current", State.FAILED, earlier if target.conditions else none, logs)
        return
    if stopped:
        namespace, _, name = str(target.status["operator"]).partition("/")
        command = f"kubectl describe deployment {name} -n {namespace}"
        message = f"The operator {namespace}/{name} does not run, so the status may be out of date."
        yield Check(section, "the status is current", State.WARNING, message, command)
    else:
        yield Check(section, "the status is current")
    for kind in ConditionType:
        if kind.about.statement and (condition := target.conditions.get(kind)):
            yield _check(target, condition, kind.about.statement)


def _place(target: ClusterTarget) -> str:
    namespace, _, name = str(target.status.get("operator") or "").partition("/")
    return f"{namespace} deployment/{name}" if name else "NAMESPACE deployment/metricat"


def _check(target: ClusterTarget, condition: Condition, name: str) -> Check:
    section = str(target)
    if condition.holds:
        warns = condition.reason in (Reason.ACCEPTED_WITH_WARNINGS, Reason.OTHER_OPERATORS)
        state = State.WARNING if warns else State.OK
        return Check(
            section, name, state, condition.message if warns else "", remedy(target, condition) if warns else ""
        )
    if condition.reason == Reason.NOT_SELECTED:  # the consequence of the check of Selected
        return Check(section, name, State.SKIPPED, condition.message)
    undecided = condition.holds is None and condition.reason in _UNDECIDED
    message = f"{condition.reason}: {condition.message}"
    return Check(section, name, State.WARNING if undecided else State.FAILED, message, remedy(target, condition))


def remedy(target: ClusterTarget, condition: Condition) -> str:
    """Return the command in the message, or the remedy that the reason has, or the command that shows the cause."""
    texts = [condition.message]
    if condition.type is ConditionType.AGENTS_READY:
        texts += [str(one.get("message", "")) for one in target.status.get("uncovered") or []]
    for text in texts:
        if found := _COMMAND.search(text):
            return found[0]
    known = REASONS.get(condition.reason)
    notes = [known.note(place) for place in (condition.type, Group.QUERY)] if known else []
    for note in notes:
        if note and note.remedy and not note.remedy.startswith(("Nothing", "See `")):
            filled = note.fill(
                namespace=target.namespace,
                pod=f"-l {naming.LABEL_TARGET}={naming.fit(target.name)}",
                daemon_set=naming.child(target.name),
            )
            return re.sub(r"\bNAME\b", target.name, filled)
    return f"kubectl describe mtarget {target.name} -n {target.namespace}"
