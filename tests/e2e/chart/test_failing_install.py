"""An install with an image that no node can pull fails within a minute, and the documented command shows the reason."""

import re
import time
from collections.abc import Iterator

import pytest

from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.errors import ToolError
from metricat_tools.stack.metricat import CHART
from support.paths import DOCS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAMESPACE, RELEASE = "unpullable", "broken"
IMAGE = "127.0.0.1:1/metricat/operator"
"""No registry listens there, so each pull fails at once."""
SECONDS = 60


@pytest.fixture
def namespace(demo: DemoCluster) -> Iterator[str]:
    yield NAMESPACE
    demo.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    for kind in ("clusterrole", "clusterrolebinding"):
        demo.kubectl.run("delete", kind, f"{RELEASE}-metricat-crds", "--ignore-not-found")


def documented_command(section: str) -> list[str]:
    """Return the words of the kubectl command in a section of the guide."""
    text = (DOCS / "troubleshooting.md").read_text().partition(f"## {section}\n")[2]
    found = re.search(r"^kubectl (.+)$", text, re.MULTILINE)
    assert found
    return found[1].split()


def test_install_with_an_image_that_cannot_be_pulled_fails_within_a_minute(demo: DemoCluster, namespace: str) -> None:
    values = f"--set=image.operator.repository={IMAGE}"
    command = (RELEASE, str(CHART), "--namespace", namespace, "--create-namespace", values)
    started = time.monotonic()
    with pytest.raises(ToolError, match=f"Job/{namespace}/{RELEASE}-metricat-crds not ready. status: Failed"):
        demo.kubectl.helm("install", *command)
    seconds = time.monotonic() - started
    assert seconds < SECONDS, seconds

    words = [namespace if word == "monitoring" else word for word in documented_command("The installation fails")]
    events = demo.kubectl.run(*words)
    assert f'Failed to pull image "{IMAGE}:' in events
    assert "ErrImagePull" in events
    print(f"failed after {seconds:.1f} s")  # noqa: T201 -- for `pytest -s`

    with pytest.raises(ToolError, match="cannot reuse a name that is still in use"):
        demo.kubectl.helm("install", *command)
    demo.kubectl.helm("uninstall", RELEASE, "--namespace", namespace)
