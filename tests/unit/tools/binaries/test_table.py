"""The pinned list: versions come only from go.mod, and another build has another cache folder."""

import re

import pytest
import yaml

from metricat_tools.binaries import golang, table
from metricat_tools.binaries.table import PROGRAMS, GoModule
from support.paths import ROOT

MODULES = sorted(
    {program.source for program in PROGRAMS.values() if isinstance(program.source, GoModule)},
    key=lambda one: one.folder,
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.folder)
def test_every_module_is_pinned_with_hashes(module: GoModule) -> None:
    text = (module.directory / "go.mod").read_text()
    if module.version != "v0":  # our own module, without dependencies
        assert f"{module.module} {module.version}" in text
        assert f"{module.module} {module.version} h1:" in (module.directory / "go.sum").read_text()
    for program in PROGRAMS.values():
        if program.source is module and program.member != ".":
            assert re.search(rf"^(tool )?\s*{re.escape(program.member)}$", text, re.MULTILINE), program


def test_kubernetes_is_built_with_its_version() -> None:
    version = table.KUBERNETES.version
    flags = " ".join(table.KUBERNETES.flags())
    assert f"gitVersion={version}" in flags
    assert f"gitMajor=1 -X {'k8s.io/component-base/version'}.gitMinor={version.split('.')[1]}" in flags


def test_old_kubernetes_is_the_oldest_version_that_the_chart_supports() -> None:
    oldest = yaml.safe_load((ROOT / "charts" / "metricat" / "Chart.yaml").read_text())["kubeVersion"]
    found = re.fullmatch(r">=(\d+\.\d+)\.0-0", oldest)
    assert found
    assert table.OLD_KUBERNETES.version.startswith(f"v{found[1]}.")
    assert table.OLD_SUFFIX.removeprefix("-") == found[1]


def test_prometheus_release_equals_its_module_version() -> None:
    release = int(table.PROMETHEUS.version.split(".")[1])
    assert (
        f"Version={release // 100}.{release % 100}.{table.PROMETHEUS.version.split('.')[2]}" in table.PROMETHEUS.ldflags
    )


def test_cache_folder_depends_on_every_build_input(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = GoModule("etcd", table.ETCD.module)
    folders = {golang.folder(one) for one in (plain, GoModule("etcd", table.ETCD.module, tags=("x",)))}
    folders.add(golang.folder(GoModule("etcd", table.ETCD.module, cgo=True)))
    monkeypatch.setattr("platform.machine", lambda: "other")
    folders.add(golang.folder(plain))
    assert len(folders) == 4
    assert all(plain.version in folder.name for folder in folders)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("etcd", "server"), ("prometheus-operator", "operator"), ("kubelet", "kubelet"), ("coredns", "coredns")],
)
def test_binary_name_comes_from_its_package(name: str, expected: str) -> None:
    program = PROGRAMS[name]
    assert isinstance(program.source, GoModule)
    assert golang.binary(program, program.source) == expected
