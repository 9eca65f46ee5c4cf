"""A MonitoringTarget from the values of node_exporter's chart, or of kube-prometheus-stack. Pure.

Each value of the chart is carried over, is not needed, or cannot be carried over. A note has the outcome of each value.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import NoneType
from typing import Any

from metricat_cli import node_exporter_chart as chart
from metricat_operator import naming
from metricat_operator.api.collector_flags import COLLECTORS, FLAGS, SWITCH_FLAGS
from metricat_operator.api.parse import parse

SUBCHART = "prometheus-node-exporter"
_UNKNOWN = "unknown to this version"


class Outcome(StrEnum):
    """The outcome of a value of the chart: carried over, not needed, or not carried over."""

    CARRIED = "carried over"
    UNNEEDED = "not needed"
    LOST = "not carried over"


@dataclass(frozen=True)
class Note:
    """The outcome of one value of the chart."""

    value: str
    outcome: Outcome
    message: str


@dataclass
class Migration:
    """The spec that the values of the chart result in, and the outcome of each value."""

    spec: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def note(self, value: str, outcome: Outcome, message: str) -> None:
        """Record the outcome of one value of the chart."""
        self.notes.append(Note(value, outcome, message))

    def set(self, value: str, path: str, content: Any) -> None:
        """Set a field of the spec if the operator accepts its content. Note the outcome of the chart's value."""
        *parents, last = path.split(".")
        self._set(value, parents, last, content)

    def set_key(self, value: str, path: str, key: str, content: Any) -> None:
        """Set a key of a map of the spec as `set` does. The key may contain dots."""
        self._set(value, path.split("."), key, content)

    def _set(self, value: str, parents: Sequence[str], last: str, content: Any) -> None:
        changed = copy.deepcopy(self.spec)
        place = changed
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = content
        earlier, parsed = parse(self.spec), parse(changed)
        new = [one for one in parsed.errors if one not in earlier.errors]
        unknown = [one for one in parsed.warnings if _UNKNOWN in one and one not in earlier.warnings]
        if unknown:
            missing = unknown[0].partition(":")[0]
            self.note(value, Outcome.LOST, f"{missing} does not exist in this version of Metricat.")
        elif new:
            self.note(value, Outcome.LOST, f"{new[0].rstrip('.')}.")
        else:
            self.spec = changed
            self.note(value, Outcome.CARRIED, ".".join(("spec", *parents, last)))


def migrate(values: Mapping[str, Any], release: str = "") -> Migration:
    """Return the migration of the values that a release sets. `release` is the name of the release, if known."""
    done = Migration()
    if SUBCHART in values or "nodeExporter" in values or "prometheusOperator" in values:
        _stack(done, values, release)
        _exporter(done, _map(values.get(SUBCHART)), f"{SUBCHART}.")
    else:
        _exporter(done, values, "")
    return done


def target(migration: Migration, name: str, namespace: str) -> dict[str, Any]:
    """Return the MonitoringTarget with the migrated spec, as a manifest."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": naming.API_VERSION, "kind": naming.KIND, "metadata": metadata, "spec": migration.spec}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _stack(done: Migration, values: Mapping[str, Any], release: str) -> None:
    """Take the labels that kube-prometheus-stack's Prometheus requires."""
    spec = _map(_map(values.get("prometheus")).get("prometheusSpec"))
    for kind, path in (("serviceMonitor", "monitor.labels"), ("rule", "alerts.labels")):
        value = f"prometheus.prometheusSpec.{kind}Selector"
        labels = _map(_map(spec.get(f"{kind}Selector")).get("matchLabels"))
        if labels:
            done.set(value, path, dict(labels))
        elif spec.get(f"{kind}SelectorNilUsesHelmValues") is False:
            done.note(f"{value}NilUsesHelmValues", Outcome.UNNEEDED, "Prometheus selects all objects.")
        elif release:
            done.set(value, path, {"release": release})
        else:
            done.note(value, Outcome.UNNEEDED, "The operator sets the labels that the only Prometheus requires.")
    if _map(values.get("nodeExporter")).get("enabled") is False:
        done.note("nodeExporter.enabled", Outcome.UNNEEDED, "node_exporter is not installed.")


def _exporter(done: Migration, values: Mapping[str, Any], prefix: str) -> None:
    for key, content in values.items():
        value = f"{prefix}{key}"
        if key in chart.UNNEEDED:
            done.note(value, Outcome.UNNEEDED, chart.UNNEEDED[key])
        elif key in chart.LOST:
            if _is_set(content):
                done.note(value, Outcome.LOST, chart.LOST[key])
        elif handler := _HANDLERS.get(key):
            handler(done, value, content)
        else:
            done.note(value, Outcome.LOST, "Metricat has no mapping for this value. Check its effect in the chart.")


def _is_set(content: Any) -> bool:
    """Return whether a value differs from nothing: `{enabled: false}` is nothing too."""
    if isinstance(content, Mapping) and "enabled" in content:
        return bool(content["enabled"])
    return bool(content)


def _resources(done: Migration, value: str, content: Any) -> None:
    for kind, amounts in _map(content).items():
        for resource, amount in _map(amounts).items():
            done.set(f"{value}.{kind}.{resource}", f"agent.resources.{kind}.{resource}", amount)


def _tolerations(done: Migration, value: str, content: Any) -> None:
    done.set(value, "agent.tolerations", content or [])


def _node_selector(done: Migration, value: str, content: Any) -> None:
    labels = {key: text for key, text in _map(content).items() if (key, text) != ("kubernetes.io/os", "linux")}
    if labels:
        done.set(value, "nodeSelector", {"matchLabels": labels})
    else:
        done.note(value, Outcome.UNNEEDED, "Agents run on nodes with Linux.")


def _priority(done: Migration, value: str, content: Any) -> None:
    if content:
        done.set(value, "agent.priorityClassName", content)


def _update(done: Migration, value: str, content: Any) -> None:
    rolling = _map(_map(content).get("rollingUpdate"))
    if "maxUnavailable" in rolling:
        path = "agent.updateStrategy.maxUnavailable"
        done.set(f"{value}.rollingUpdate.maxUnavailable", path, rolling["maxUnavailable"])
    if _map(content).get("type", "RollingUpdate") != "RollingUpdate":
        done.note(
            f"{value}.type",
            Outcome.LOST,
            "The operator always uses RollingUpdate. Set spec.agent.updateStrategy.maxUnavailable.",
        )


def _service(done: Migration, value: str, content: Any) -> None:
    service = _map(content)
    if port := service.get("targetPort", service.get("port")):
        done.set(f"{value}.{'targetPort' if 'targetPort' in service else 'port'}", "agent.port", port)
    for key in service.keys() - {"targetPort", "port", "enabled"}:
        done.note(f"{value}.{key}", Outcome.UNNEEDED, "Metricat creates a headless Service.")


def _prometheus(done: Migration, value: str, content: Any) -> None:
    parts = _map(content)
    for key, message in (
        ("podMonitor", "Metricat uses a ServiceMonitor. Copy the settings to spec.monitor."),
        ("rbac", "Agents have no kube-rbac-proxy. Protect them with spec.agent.web."),
    ):
        if _is_set(parts.get(key) or {}):
            done.note(f"{value}.{key}", Outcome.LOST, message)
    for key, its in _map(parts.get("monitor")).items():
        name = f"{value}.monitor.{key}"
        if key == "enabled":
            message = "Metricat creates a ServiceMonitor, if the cluster serves the kind."
            done.note(name, Outcome.UNNEEDED, message)
        elif its in ("", None, {}, [], 0):
            continue
        elif path := chart.MONITOR.get(key):
            done.set(
                name,
                path,
                {**_map(done.spec.get("monitor", {}).get("labels")), **its} if key == "additionalLabels" else its,
            )
        elif key in chart.MONITOR_UNNEEDED:
            done.note(name, Outcome.UNNEEDED, chart.MONITOR_UNNEEDED[key])
        else:
            done.note(
                name,
                Outcome.LOST,
                chart.MONITOR_LOST.get(key, "Metricat has no mapping for this value. Check its effect in the chart."),
            )


def _arguments(done: Migration, value: str, content: Any) -> None:
    if not isinstance(content, list | str | NoneType):
        done.note(value, Outcome.LOST, "The chart expects a list of flags. Correct the values.")
        return
    words = [str(one) for one in content] if isinstance(content, list) else (content or "").split()
    for flag, text in _flags(words):
        _flag(done, f"{value}: {flag}{'' if text is None else f'={text}'}", flag.removeprefix("--"), text)


def _flags(words: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each flag with its value, which `=` or a blank separates; None for a switch."""
    rest = list(words)
    while rest:
        flag, equals, text = rest.pop(0).partition("=")
        if equals:
            yield flag, text
        elif rest and not rest[0].startswith("-"):
            yield flag, rest.pop(0)
        else:
            yield flag, None


def _flag(done: Migration, value: str, flag: str, text: str | None) -> None:
    on = not flag.startswith("no-")
    name = flag.removeprefix("no-")
    collector = name.removeprefix("collector.")
    if name in chart.FLAGS_UNNEEDED:
        done.note(value, Outcome.UNNEEDED, chart.FLAGS_UNNEEDED[name])
    elif name == "web.listen-address":
        port = str(text).rpartition(":")[2]
        done.set(value, "agent.port", int(port) if port.isdigit() else port)
    elif name == "collector.textfile.directory":
        collectors = _map(_map(done.spec.get("agent")).get("collectors"))
        directories = _map(collectors.get("textfile")).get("directories", [])
        done.set(value, "agent.collectors.textfile.directories", [*directories, _on_the_node(text)])
    elif name in chart.FLAGS_LOST:
        done.note(value, Outcome.LOST, chart.FLAGS_LOST[name])
    elif collector in chart.PATTERNS:
        done.set(value, f"agent.collectors.{chart.PATTERNS[collector]}", text)
    elif name.startswith("collector.") and collector.partition(".")[0] in chart.ABSENT:
        absent = collector.partition(".")[0]
        if on and "." not in collector:
            message = (
                f"The agent has no collector {absent}. Keep node_exporter for this collector, with another job name: "
                f"--collector.disable-defaults --collector.{absent}."
            )
            done.note(value, Outcome.LOST, message)
        else:
            done.note(value, Outcome.UNNEEDED, f"The agent has no collector {absent}.")
    elif not (name.startswith("collector.") and _collector_flag(done, value, collector, text, on=on)):
        done.note(value, Outcome.LOST, "A MonitoringTarget has no such setting.")


def _on_the_node(path: str | None) -> str:
    """Return the path on the node of a path in node_exporter's container, whose chart mounts / at /host/root."""
    return (path or "").removeprefix("/host/root")


def _collector_flag(done: Migration, value: str, collector: str, text: str | None, *, on: bool) -> bool:
    """Set the switch or the flag of a collector, and return whether it is one."""
    if text is None and collector in COLLECTORS:
        done.set_key(value, "agent.collectors.switches", collector, content=on)
    elif text is None and collector in SWITCH_FLAGS:
        done.set_key(value, "agent.collectors.flags", collector, content=str(on).lower())
    elif text is not None and collector in FLAGS:
        done.set_key(value, "agent.collectors.flags", collector, content=text)
    elif text is None and "." not in collector:
        done.set(value, f"agent.collectors.{collector}.enabled", on)
    else:
        return False
    return True


def _mounts(done: Migration, value: str, content: Any) -> None:
    mounts = [_map(one) for one in content or []]
    if not mounts:
        return
    fields = [{"hostPath": one.get("hostPath"), "mountPath": one.get("mountPath")} for one in mounts]
    done.set(value, "agent.extraMounts", fields)
    for one in mounts:
        if one.get("readOnly") is False:
            done.note(f"{value}.{one.get('name')}.readOnly", Outcome.LOST, "Agents mount paths of the node read-only.")


_HANDLERS = {
    "extraHostVolumeMounts": _mounts,
    "resources": _resources,
    "tolerations": _tolerations,
    "nodeSelector": _node_selector,
    "priorityClassName": _priority,
    "updateStrategy": _update,
    "service": _service,
    "prometheus": _prometheus,
    "extraArgs": _arguments,
}
