"""The chart with each values file of `charts/metricat/ci`, and the values that its schema rejects.

`make generate` writes the renders. Review their changes like code.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_hub.config.options import HUB
from metricat_tools.generate import chart
from metricat_tools.generate.chart import NAMESPACE, RELEASE, helm
from support.chart import render
from support.paths import CHART, ROOT

CASES = chart.cases(CHART)
RENDERS = ROOT / "tests" / "golden_chart"


@pytest.mark.parametrize("values", CASES, ids=[case.stem for case in CASES])
def test_the_render_of_each_values_file_is_the_golden_one(values: Path) -> None:
    assert chart.text(CHART, values) == (RENDERS / f"{values.stem}.yaml").read_text()
    assert chart.notes(CHART, values) == (RENDERS / f"{values.stem}.notes.txt").read_text()


@pytest.mark.parametrize("values", CASES, ids=[case.stem for case in CASES])
def test_helm_lint_accepts_each_values_file(values: Path) -> None:
    done = chart.helm("lint", "--strict", CHART, f"--values={values}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_render_has_a_values_file() -> None:
    expected = {name for case in CASES for name in (f"{case.stem}.yaml", f"{case.stem}.notes.txt")}
    assert {path.name for path in RENDERS.iterdir()} == expected


def test_every_value_of_the_schema_is_set_in_a_values_file() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    used = {path for case in CASES for path in _set_paths(yaml.safe_load(case.read_text()))}
    assert sorted(set(_schema_paths(schema, schema["$defs"])) - used) == []


def test_values_yaml_sets_every_value_that_is_not_deprecated() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = set(_set_paths(yaml.safe_load((CHART / "values.yaml").read_text())))
    missing = set(_schema_paths(schema, schema["$defs"])) - defaults
    assert {path for path in missing if not path.startswith("operator.askPrometheus")} == {"global"}


def test_a_template_uses_every_value_of_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    texts = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    used = {name.removeprefix(".") for name in re.findall(r"\.Values((?:\.\w+)+)", texts)}
    unused = [path for path in _schema_paths(schema, schema["$defs"]) if not _is_used(path, used)]
    assert unused == ["global"]


def test_the_chart_sets_the_settings_that_the_operator_reads() -> None:
    source = (ROOT / "operator" / "src" / "metricat_operator" / "settings.py").read_text()
    renders = "".join(path.read_text() for path in RENDERS.glob("*.yaml"))
    read, given = set(re.findall(r'"(METRICAT_\w+)"', source)), set(re.findall(r"name: (METRICAT_\w+)", renders))
    assert sorted(given - read) == []
    assert sorted(read - given) == ["METRICAT_HEALTH_PORT", "METRICAT_METRICS_PORT", "METRICAT_WORKERS"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("operator.replica=2", "additional properties 'replica' not allowed"),
        ("operator.replicas=-1", "minimum: got -1, want 0"),
        ("operator.replicas=two", "got string, want integer"),
        ("operator.log.level=TRACE", "value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("operator.log.format=yaml", "value must be one of 'json', 'text'"),
        ("operator.namespaces=team-a", "got string, want array"),
        ("operator.namespaces={Team}", "'Team' does not match pattern"),
        ("operator.namespaces={a,a}", "items at 0 and 1 are equal"),
        ("operator.prometheusQueries.enabled=no", "got string, want boolean"),
        ("operator.prometheusQueries.namespace=a", "additional properties 'namespace' not allowed"),
        ("operator.askPrometheus.namespace=a", "additional properties 'namespace' not allowed"),
        ("image.agent.repository=", "minLength: got 0, want 1"),
        ("image.agent.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("imagePullSecrets=registry", "got string, want array"),
        ("defaultTarget.name=", "minLength: got 0, want 1"),
        ("dashboards.labels.a=1", "got number, want string"),
        ("hub.prometheus.url=prometheus:9090", "'prometheus:9090' does not match pattern"),
        ("hub.prometheus.url=https://user:secret@prometheus", "does not match pattern"),
        ("hub.settings.listen=:80", "'not' failed"),
        ("hub.log.level=INFO", "value must be one of 'debug', 'info', 'warn', 'error'"),
        ("hub.service.type=ExternalName", "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
        ("hub.ingress.enabled=true", "minLength: got 0, want 1"),
        ("hub.replicas=-1", "minimum: got -1, want 0"),
        ("dashboard.enabled=true", "additional properties 'dashboard' not allowed"),
    ],
)
def test_the_schema_rejects_a_wrong_value(value: str, message: str) -> None:
    done = chart.helm("template", chart.RELEASE, CHART, f"--set={value}")
    assert done.returncode != 0
    assert message in done.stderr


def _is_used(path: str, used: set[str]) -> bool:
    """Return whether a template uses the value, a part of it, or the map that holds it."""
    return any(one == path or one.startswith(f"{path}.") or path.startswith(f"{one}.") for one in used)


def _set_paths(value: Any, at: str = "") -> Iterator[str]:
    """The paths of all fields that are set."""
    for key, item in value.items() if isinstance(value, dict) else ():
        path = f"{at}.{key}" if at else key
        yield path
        yield from _set_paths(item, path)


def _schema_paths(schema: dict[str, Any], definitions: dict[str, Any], at: str = "") -> Iterator[str]:
    """The paths of all fields of the schema."""
    if reference := schema.get("$ref"):
        schema = definitions[reference.rpartition("/")[2]]
    for key, item in schema.get("properties", {}).items():
        path = f"{at}.{key}" if at else key
        yield path
        yield from _schema_paths(item, definitions, path)


@pytest.mark.parametrize(
    ("values", "enabled", "namespaces"),
    [
        ((), "true", ""),
        (("operator.askPrometheus.enabled=true", "operator.prometheusQueries.enabled=false"), "false", ""),
        (("operator.askPrometheus.enabled=false",), "false", ""),
        (("operator.askPrometheus.namespaces={a,b}",), "true", "a,b"),
        (("operator.askPrometheus.namespaces={a}", "operator.prometheusQueries.namespaces={a}"), "true", "a"),
    ],
)
def test_deprecated_value_never_enables_queries_that_the_new_one_disables(
    values: tuple[str, ...], enabled: str, namespaces: str
) -> None:
    [deployment] = [one for one in render(*values) if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one.get("value", "") for one in container["env"]}
    assert environment["METRICAT_PROMETHEUS_QUERIES"] == enabled
    assert environment.get("METRICAT_PROMETHEUS_QUERY_NAMESPACES", "") == namespaces


def test_old_and_new_value_with_different_namespaces_are_refused() -> None:
    values = ("--set=operator.askPrometheus.namespaces={a}", "--set=operator.prometheusQueries.namespaces={b}")
    done = helm("template", RELEASE, CHART, f"--namespace={NAMESPACE}", *values)
    assert done.returncode != 0
    assert "Remove operator.askPrometheus: it is deprecated." in done.stderr


def test_hub_is_not_rendered_without_a_certificate_unless_that_is_accepted() -> None:
    done = helm("template", RELEASE, CHART, f"--namespace={NAMESPACE}", "--set=hub.enabled=true")
    assert done.returncode != 0
    assert "Give the name of a Secret with tls.crt and tls.key, or set hub.web.insecure=true." in done.stderr


def test_nothing_of_the_hub_is_rendered_by_default() -> None:
    assert [one for one in render() if one["metadata"]["name"].endswith(("-hub", "-hub-viewer"))] == []


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("", 9090),
        ("http://prometheus", 80),
        ("https://prometheus", 443),
        ("http://prometheus:9091/prefix", 9091),
        ("http://[fd00::1]:9092", 9092),
        ("http://[fd00::9]", 80),
    ],
)
def test_network_policy_permits_the_port_of_prometheus(url: str, port: int) -> None:
    objects = render("hub.enabled=true", "hub.web.insecure=true", f"hub.prometheus.url={url}")
    [policy] = [one for one in objects if one["kind"] == "NetworkPolicy"]
    assert policy["spec"]["egress"][-1] == {"ports": [{"protocol": "TCP", "port": port}]}


def test_settings_in_the_chart_exist() -> None:
    for path in RENDERS.glob("*.yaml"):
        for container in _containers(yaml.safe_load_all(path.read_text()), "hub"):
            flags = {word.partition("=")[0].removeprefix("--") for word in container["args"]}
            assert sorted(flags - set(HUB.options)) == []
            assert "env" not in container


def test_hub_meets_the_restricted_pod_security_standard() -> None:
    objects = render("hub.enabled=true", "hub.web.insecure=true")
    [pod] = [
        one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("-hub")
    ]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["seccompProfile"]) == (
        True,
        {"type": "RuntimeDefault"},
    )
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _containers(objects: Iterator[Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield the containers with this name."""
    for one in objects:
        if one and one["kind"] == "Deployment":
            yield from (each for each in one["spec"]["template"]["spec"]["containers"] if each["name"] == name)
