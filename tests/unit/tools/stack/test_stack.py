from typing import Any

import pytest
import yaml

from metricat_tools.images import stack as images
from metricat_tools.stack import install, metricat
from metricat_tools.stack.apis import AlertmanagerApi, PrometheusApi
from metricat_tools.stack.kubectl import Kubectl
from metricat_tools.stack.wait import until

BUNDLE = """\
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.org
spec:
  description: |
    namespace: default
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: operator
  namespace: default
"""


def test_bundle_is_moved_except_its_crds() -> None:
    crds, rest = install.adapted(BUNDLE)
    assert "namespace: default" in crds
    assert yaml.safe_load(rest)["metadata"]["namespace"] == "monitoring"


def test_manifests_use_the_images_that_we_build() -> None:
    documents = [
        document
        for name in ("prometheus.yaml", "alertmanager.yaml")
        for document in yaml.safe_load_all(install.manifest(name))
    ]
    used = {document["spec"]["image"] for document in documents if "image" in document.get("spec", {})}
    built = {component.tag for component in images.COMPONENTS.values()}
    assert len(used) == 2
    assert used < built


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("docker.io/metricat/agent:0.1.0-abc", ("docker.io/metricat/agent", "0.1.0-abc")),
        ("localhost:5000/metricat/agent", ("localhost:5000/metricat/agent", "latest")),
        ("localhost:5000/metricat/agent:1", ("localhost:5000/metricat/agent", "1")),
    ],
)
def test_image_is_split_at_its_tag(image: str, parts: tuple[str, str]) -> None:
    assert metricat.split(image) == parts


class Recorded(Kubectl):
    """A cluster with one response."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        object.__setattr__(self, "response", response)

    def through(self, *_: Any) -> Any:
        return self.__dict__["response"]


def test_query_returns_the_samples() -> None:
    response = {
        "data": {"resultType": "vector", "result": [{"metric": {"node": "n1"}, "value": [1700000000.1, "12.5"]}]}
    }
    (sample,) = PrometheusApi(Recorded(response)).query("x")
    assert (sample.node, sample.value) == ("n1", 12.5)


def test_alertmanager_alerts_are_parsed() -> None:
    response = [{"labels": {"alertname": "A"}, "annotations": {"summary": "s"}, "status": {"state": "active"}}]
    (alert,) = AlertmanagerApi(Recorded(response)).alerts("A")
    assert (alert.name, alert.state) == ("A", "active")


def test_timeout_error_has_the_reason() -> None:
    with pytest.raises(Exception, match=r"waiting: not finished within 0 s \(no node\)"):
        until("waiting", lambda: None, seconds=0, why=lambda: "no node")
