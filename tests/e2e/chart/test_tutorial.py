"""The tutorial for a cluster, word by word: each block runs on an empty cluster, and prints what the page shows."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metricat_tools import images
from metricat_tools.binaries import ensure, module_dir
from metricat_tools.cluster import NodeCluster
from metricat_tools.images.archive import Image, docker_archive
from metricat_tools.images.registry import under
from support.checkout import copy_checkout, environment_for_packages
from support.paths import DOCS
from support.tutorial import Reader, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

REGISTRY = "registry.example.com/you"
BUNDLE = "https://github.com/prometheus-operator/prometheus-operator/releases/download/v0.93.1/bundle.yaml"
NOT_RUN = {f"make images REGISTRY={REGISTRY}": "the nodes have the images already: no registry runs here"}
"""The first line of each block that no test runs, with the reason."""
MINUTES = 10


def busybox(folder: Path) -> Path:
    """Return an image with the shell of Debian's busybox, under the name of the official image."""
    program = ensure("busybox")["busybox"]
    image = Image(["docker.io/library/busybox:1.37"], [], env={"PATH": "/bin"}, directories=["/tmp"])
    return docker_archive(folder / "busybox.tar", image, {"/bin/sh": program})


@pytest.fixture
def empty_cluster(tmp_path: Path) -> Iterator[NodeCluster]:
    """A cluster without any object of ours, whose nodes have all images of the tutorial."""
    built = images.ensure_images("operator", "agent", images.STACK)
    with NodeCluster.up(f"tutorial-{os.getpid()}") as cluster:
        cluster.load_image(busybox(tmp_path), *(one.archive for one in built.values()))
        for node in cluster.nodes:
            for part in ("operator", "agent"):
                node.ctr("images", "tag", built[part].name, under(REGISTRY, built[part].name))
        yield cluster


def test_tutorial_for_a_cluster(empty_cluster: NodeCluster, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    programs = {str(ensure(name)[name].parent) for name in ("kubectl", "helm")}
    environment = {
        **environment_for_packages(),
        "PATH": ":".join([*programs, os.environ["PATH"]]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "KUBECONFIG": str(empty_cluster.kubeconfig),
    }
    module = module_dir("prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
    terminal = Terminal(copy_checkout(tmp_path / "checkout"), environment)
    began = time.monotonic()
    try:
        names = {BUNDLE: str(module / "bundle.yaml")}
        report = Reader(terminal, terminal, names, NOT_RUN, seconds=300).read(DOCS / "tutorial.md")
    finally:
        terminal.close()
    minutes = (time.monotonic() - began) / 60
    print(*report, f"{minutes:.1f} minutes", sep="\n")  # noqa: T201 -- for `pytest -s`
    assert minutes < MINUTES
