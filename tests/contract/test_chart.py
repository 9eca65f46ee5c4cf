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
from metricat_operator import settings
from metricat_tools.generate import chart, chart_values
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
    assert sorted(path for path in missing if not path.startswith("operator.askPrometheus")) == []


def test_a_template_uses_every_value_of_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    texts = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    texts = texts.replace("$hub.", ".Values.hub.").replace("$operator.", ".Values.operator.")
    texts += (CHART / "Chart.yaml").read_text().replace("condition: ", "condition: .Values.")
    texts += "".join(
        f" .Values.image.{name}.digest" for name in ("operator", "agent", "hub") if ".image.digest" in texts
    )
    texts += "".join(f" .Values.{pods}.{name}" for pods in ("operator", "hub") for name in _scheduling_values())
    used = {name.removeprefix(".") for name in re.findall(r"\.Values((?:\.\w+)+)", texts)} - {"operator", "hub"}
    unused = [path for path in _schema_paths(schema, schema["$defs"]) if not _is_used(path, used)]
    assert unused == []


def _scheduling_values() -> list[str]:
    """Return the values that the helper for the pods of operator and hub uses."""
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    [helper] = re.findall(r'define "metricat.scheduling".*?\n\n', helpers, re.DOTALL)
    return re.findall(r"\.values\.(\w+)", helper)


def test_every_value_has_a_description() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    found = chart_values.leaves(schema, schema["$defs"])
    assert [path for path, one in found if not one.get("description")] == []


def test_the_chart_sets_the_settings_that_the_operator_reads() -> None:
    source = (ROOT / "operator" / "src" / "metricat_operator" / "settings.py").read_text()
    renders = "".join(path.read_text() for path in RENDERS.glob("*.yaml"))
    read, given = set(re.findall(r'"(METRICAT_\w+)"', source)), set(re.findall(r"name: (METRICAT_\w+)", renders))
    assert sorted(given - read) == []
    assert sorted(read - given) == ["METRICAT_HEALTH_PORT", "METRICAT_METRICS_PORT", "METRICAT_WORKERS"]


def test_the_settings_of_the_default_chart_are_the_defaults_of_the_operator() -> None:
    [deployment] = [
        one for one in yaml.safe_load_all((RENDERS / "default.yaml").read_text()) if one and one["kind"] == "Deployment"
    ]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    given = settings.read({one["name"]: one["value"] for one in container["env"] if "value" in one})
    own = settings.Settings(given.agent_image, lease=given.lease, pod_name=given.pod_name)
    assert given == own


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
        ("image.agent.repository=", "'' does not match pattern"),
        ("image.agent.repository=metricat/agent@sha256", "'metricat/agent@sha256' does not match pattern"),
        ("image.agent.tag=@sha256:1234", "'@sha256:1234' does not match pattern"),
        ("image.agent.digest=sha256:12", "does not match pattern '^(sha256:[a-f0-9]{64})?$'"),
        ("image.operator=null", "at '/image': missing property 'operator'"),
        ("operator.log=null", "at '/operator': missing property 'log'"),
        ("hub=null", "missing property 'hub'"),
        ("global.imageRegistry=https://mirror", "'https://mirror' does not match pattern"),
        ("imagePullSecrets[0].names=registry", "missing property 'name'"),
        ("fullnameOverride=My_Release", "'My_Release' does not match pattern"),
        ("commonLabels.app\\.kubernetes\\.io/name=mine", "invalid propertyName 'app.kubernetes.io/name'"),
        ("extraObjects[0].kind=ConfigMap", "missing properties 'apiVersion', 'metadata'"),
        ("crds.upgradeJob.activeDeadlineSeconds=3000", "maximum: got 3,000, want 290"),
        ("operator.resources.request.cpu=1", "additional properties 'request' not allowed"),
        ("operator.resources.requests.cpu=1core", "'1core' does not match pattern"),
        ("operator.resources.requests.cpus=1", "invalid propertyName 'cpus'"),
        ("operator.tolerations[0].keyy=a", "additional properties 'keyy' not allowed"),
        ("operator.affinity.nodeAfinity.a=1", "additional properties 'nodeAfinity' not allowed"),
        ("operator.nodeSelector.a=true", "got boolean, want string"),
        ("operator.topologySpreadConstraints[0].maxSkew=1", "missing properties 'topologyKey', 'whenUnsatisfiable'"),
        ("operator.priorityClassName=High", "'High' does not match pattern"),
        ("operator.podDisruptionBudget.maxUnavailable=half", "'half' does not match pattern"),
        ("operator.serviceMonitor.interval=15sec", "'15sec' does not match pattern"),
        ("operator.extraEnv[0].nam=A", "missing property 'name'"),
        ("defaultTarget.name=My_Nodes", "'My_Nodes' does not match pattern"),
        ("defaultTarget.spec.agnt.port=9100", "additional properties 'agnt' not allowed"),
        ("defaultTarget.spec.agent.port=99999", "maximum: got 99,999, want 65,535"),
        ("image.agent.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("imagePullSecrets=registry", "got string, want array"),
        ("defaultTarget.name=", "'' does not match pattern"),
        ("dashboards.labels.a=1", "got number, want string"),
        ("hub.prometheus.url=prometheus:9090", "'prometheus:9090' does not match pattern"),
        ("hub.prometheus.url=https://user:secret@prometheus", "does not match pattern"),
        (
            "hub.settings.listen=:80",
            "hub.settings: the chart sets listen itself. Remove it, and use the value hub.service.port",
        ),
        ("hub.log.level=INFO", "value must be one of 'debug', 'info', 'warn', 'error'"),
        ("hub.service.type=ExternalName", "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
        ("hub.ingress.enabled=true", "minLength: got 0, want 1"),
        ("hub.replicas=-1", "minimum: got -1, want 0"),
        ("operator.extraArgs={--worker=2}", "'--worker=2' does not match pattern"),
        ("operator.extraArgs={--health-port=81}", "'--health-port=81' does not match pattern"),
        ("hub.extraArgs={query.timeout=1m}", "'query.timeout=1m' does not match pattern"),
        (
            "hub.extraArgs={--store.url=file:}",
            "chart sets store.url itself. Remove it, and use the value hub.prometheus.url",
        ),
        ("hub.settings.access\\.kubernetes=false", "hub.settings: the chart sets access.kubernetes itself. Remove it."),
        ("hub.extraArgs={--insecure}", "the chart sets insecure itself. Remove it, and use the value hub.web.insecure"),
        ("crds.install=no", "got string, want boolean"),
        ("crds.remove=true", "additional properties 'remove' not allowed"),
        ("dashboard.enabled=true", "additional properties 'dashboard' not allowed"),
    ],
)
def test_the_schema_rejects_a_wrong_value(value: str, message: str) -> None:
    done = chart.helm("template", chart.RELEASE, CHART, f"--set={value}")
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ((), "metricat/agent:0.1.0"),
        (("global.imageRegistry=mirror.example:5000",), "mirror.example:5000/metricat/agent:0.1.0"),
        (
            ("global.imageRegistry=mirror.example/cache/", "image.agent.tag=v1"),
            "mirror.example/cache/metricat/agent:v1",
        ),
        (
            ("global.imageRegistry=mirror.example", "image.agent.repository=quay.example/team/agent"),
            "mirror.example/team/agent:0.1.0",
        ),
        (
            ("global.imageRegistry=mirror.example", "image.agent.repository=localhost/agent"),
            "mirror.example/agent:0.1.0",
        ),
        ((f"image.agent.digest=sha256:{'a' * 64}", "image.agent.tag=v1"), f"metricat/agent@sha256:{'a' * 64}"),
    ],
)
def test_images_have_the_global_registry_and_the_digest(values: tuple[str, ...], reference: str) -> None:
    assert _operator_environment(*values)["METRICAT_AGENT_IMAGE"] == reference


def test_image_pull_secrets_are_names_or_maps() -> None:
    values = ("imagePullSecrets[0]=a", "imagePullSecrets[1].name=b", "global.imagePullSecrets={c,a}")
    assert _operator_environment(*values)["METRICAT_AGENT_IMAGE_PULL_SECRETS"] == "a,b,c"


def test_openshift_chooses_the_users_of_all_pods() -> None:
    objects = render("openshift.enabled=true", "hub.enabled=true", "hub.web.insecure=true")
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] in ("Deployment", "Job")]
    pods += [one["spec"] for one in objects if one["kind"] == "Pod"]
    assert len(pods) == 4
    for pod in pods:
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    [constraints] = [one for one in objects if one["kind"] == "SecurityContextConstraints"]
    assert constraints["groups"] == ["system:serviceaccounts:monitoring"]


def test_a_slow_start_restarts_no_container() -> None:
    """The liveness probe alone restarts a program that needs more than a minute, and then it never starts."""
    objects = render("hub.enabled=true", "hub.web.insecure=true")
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] in ("Deployment", "StatefulSet")]
    containers = [one for pod in pods for one in pod["containers"] if "livenessProbe" in one]
    assert len(containers) == 2
    for container in containers:
        startup = container["startupProbe"]
        assert startup["httpGet"] == container["livenessProbe"]["httpGet"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_no_role_is_rendered_without_rbac() -> None:
    kinds = {one["kind"] for one in render("rbac.create=false", "hub.enabled=true", "hub.web.insecure=true")}
    assert kinds & {"Job", "Pod", "RoleBinding", "ClusterRoleBinding", "Role"} == set()


def test_crds_belong_to_the_release_only_with_crds_install() -> None:
    listed = helm("template", RELEASE, CHART, "--include-crds").stdout
    assert listed.count("\nkind: CustomResourceDefinition\n") == 2
    without = helm("template", RELEASE, CHART, "--include-crds", "--set=crds.install=false").stdout
    assert "CustomResourceDefinition" not in without
    assert "metricat-crds" not in without


def test_only_without_crds_keep_a_job_deletes_the_crds() -> None:
    assert [one for one in render() if one["metadata"]["name"].endswith("-delete-crds")] == []
    deleting = [one for one in render("crds.keep=false") if one["metadata"]["name"].endswith("-delete-crds")]
    assert {one["kind"] for one in deleting} == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job"}
    assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in deleting} == {"post-delete"}


@pytest.mark.parametrize("value", ["crds.install=false", "rbac.create=false"])
def test_deletion_of_crds_that_the_release_may_not_delete_is_rejected(value: str) -> None:
    done = helm("template", RELEASE, CHART, "--set=crds.keep=false", f"--set={value}")
    assert done.returncode != 0
    assert "Set both, or set crds.keep=true." in done.stderr


@pytest.mark.parametrize("part", ["operator", "hub"])
def test_the_default_service_account_gets_no_permissions_by_omission(part: str) -> None:
    values = ("--set=hub.enabled=true", "--set=hub.web.insecure=true", f"--set={part}.serviceAccount.create=false")
    done = helm("template", RELEASE, CHART, *values)
    assert done.returncode != 0
    assert f"Set {part}.serviceAccount.name." in done.stderr
    assert helm("template", RELEASE, CHART, *values, f"--set={part}.serviceAccount.name=default").returncode == 0


def test_every_object_uses_the_service_account_that_exists() -> None:
    objects = render("operator.serviceAccount.create=false", "operator.serviceAccount.name=existing")
    accounts = [one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"]
    assert sorted(accounts) == ["metricat-check", "metricat-crds"]
    [deployment] = [one for one in objects if one["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "existing"
    bound = {one["subjects"][0]["name"] for one in objects if one["kind"].endswith("RoleBinding")}
    assert bound == {"existing", "metricat-check", "metricat-crds"}
    assert "system:serviceaccount:monitoring:existing" in json.dumps(objects)
    assert "system:serviceaccount:monitoring:metricat" not in json.dumps(objects)


def test_every_object_and_pod_has_the_common_labels() -> None:
    [full] = [case for case in CASES if case.stem == "full"]
    done = helm("template", RELEASE, CHART, f"--namespace={NAMESPACE}", f"--values={full}")
    for one in filter(None, yaml.safe_load_all(done.stdout)):
        if one["metadata"]["name"] in ("extra", "metricat-extra"):
            continue
        assert one["metadata"]["labels"]["example.com/team"] == "platform", one
        if "template" in one.get("spec", {}):
            assert one["spec"]["template"]["metadata"]["labels"]["example.com/team"] == "platform", one


def test_default_target_in_a_namespace_without_the_operator_is_rejected() -> None:
    values = ("--set=defaultTarget.enabled=true", "--set=operator.namespaces={team-a}")
    done = helm("template", RELEASE, CHART, f"--namespace={NAMESPACE}", *values)
    assert done.returncode != 0
    assert "Add monitoring to operator.namespaces." in done.stderr


def _operator_environment(*values: str) -> dict[str, str]:
    """Return the environment variables of the operator."""
    [deployment] = [one for one in render(*values) if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


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
    schema = {**chart_values.referenced(schema, definitions), **schema}
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
    environment = _operator_environment(*values)
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
            names = {one["name"] for one in container.get("env", [])}
            assert not [name for name in names if name.startswith("METRICAT_")]


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
