"""Wait for a state of the cluster, with progress, and with the reason if it is not reached."""

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
    """Call `probe` until its result is true, and return that result. A failing probe is called again.

    Raises:
        ToolError: no true result within `seconds`. The message has the result of `why` and the probe's last error.
    """
    ticker, deadline, last = Ticker(label), time.monotonic() + seconds, ""
    while True:
        try:
            if result := probe():
                ticker.done()
                return result
            last = ""
        except KubectlError as error:
            last = str(error)
        if time.monotonic() > deadline:
            ticker.done("gave up")
            reasons = "; ".join(reason for reason in (why(), last) if reason)
            raise ToolError(f"{label}: not finished within {seconds:.0f} s{f' ({reasons})' if reasons else ''}")
        ticker.tick()
        time.sleep(_POLL)


def pod_problems(kubectl: Kubectl, namespace: str) -> str:
    """Return why the namespace's pods do not run: kubelet's and the scheduler's messages, and a crash's last line."""
    problems = []
    for pod in kubectl.items("pods", "--namespace", namespace):
        name = pod["metadata"]["name"]
        for container in pod["status"].get("containerStatuses", []):
            waiting = container["state"].get("waiting", {})
            if waiting.get("reason") == "CrashLoopBackOff":
                problems.append(f"pod {name} crashes: {last_log_line(kubectl, namespace, name, container['name'])}")
            elif waiting.get("reason", "ContainerCreating") != "ContainerCreating":
                problems.append(f"pod {name}: {waiting['reason']} {waiting.get('message', '')}".rstrip())
        problems += [
            f"pod {name}: {condition.get('message', '')}"
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled" and condition["status"] == "False"
        ]
    return "; ".join(problems)


def last_log_line(kubectl: Kubectl, namespace: str, pod: str, container: str) -> str:
    """Return the last line that a container logged before it ended."""
    try:
        return kubectl.run(
            "logs", pod, f"--container={container}", f"--namespace={namespace}", "--previous", "--tail=1"
        ).strip()
    except KubectlError as error:
        return str(error)
