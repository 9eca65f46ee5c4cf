"""Waiting for a cluster to become what was asked, with progress, and with the reason where it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

from metricat_tools.binaries.progress import Ticker
from metricat_tools.errors import ToolError
from metricat_tools.stack.kubectl import Kubectl, KubectlError

T = TypeVar("T")
_POLL = 0.5


def until(
    label: str,
    probe: Callable[[], T | None],
    *,
    seconds: float = 180.0,
    why: Callable[[], str] = lambda: "",
) -> T:
    """The first answer of `probe` that is true; a failing probe is asked again.

    Raises:
        ToolError: there was none within `seconds`; says what `why` finds out, and the probe's last error.
    """
    ticker, deadline, last = Ticker(label), time.monotonic() + seconds, ""
    while True:
        try:
            if answer := probe():
                ticker.done()
                return answer
            last = ""
        except KubectlError as error:
            last = str(error)
        if time.monotonic() > deadline:
            ticker.done("gave up")
            reasons = "; ".join(reason for reason in (why(), last) if reason)
            raise ToolError(f"{label}: not within {seconds:.0f} s{f' ({reasons})' if reasons else ''}")
        ticker.tick()
        time.sleep(_POLL)


def pods_in_trouble(kubectl: Kubectl, namespace: str) -> str:
    """What keeps the namespace's pods from running: kubelet's and the scheduler's words, and a crash's last one."""
    troubles = []
    for pod in kubectl.items("pods", "--namespace", namespace):
        name = pod["metadata"]["name"]
        for container in pod["status"].get("containerStatuses", []):
            waiting = container["state"].get("waiting", {})
            if waiting.get("reason") == "CrashLoopBackOff":
                troubles.append(f"pod {name} crashes: {last_words(kubectl, namespace, name, container['name'])}")
            elif waiting.get("reason", "ContainerCreating") != "ContainerCreating":
                troubles.append(f"pod {name}: {waiting['reason']} {waiting.get('message', '')}".rstrip())
        troubles += [
            f"pod {name}: {condition.get('message', '')}"
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled" and condition["status"] == "False"
        ]
    return "; ".join(troubles)


def last_words(kubectl: Kubectl, namespace: str, pod: str, container: str) -> str:
    """The last line that a container logged before it ended."""
    try:
        return kubectl.run(
            "logs", pod, f"--container={container}", f"--namespace={namespace}", "--previous", "--tail=1"
        ).strip()
    except KubectlError as error:
        return str(error)
