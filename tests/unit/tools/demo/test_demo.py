from pathlib import Path

import pytest
import yaml

from metricat_tools.demo import demo_cluster, load, preflight
from metricat_tools.demo.steps import Steps
from metricat_tools.demo.tables import table
from metricat_tools.errors import ToolError
from metricat_tools.stack import install


def test_table_columns_are_as_wide_as_their_cells() -> None:
    assert table(("NODE", "CPU %"), [("n1", 3.14159), ("node-17", 100.0)]) == (
        "  NODE      CPU %\n"
        "  n1          3.1\n"
        "  node-17   100.0"
    )  # fmt: skip


def test_every_step_prints_its_duration() -> None:
    times, lines = iter([0.0, 10.0, 12.5, 20.0, 21.0]), list[str]()
    steps = Steps(clock=lambda: next(times), output=lines.append)
    with steps.step("build"):
        pass
    with pytest.raises(ToolError), steps.step("install"):
        raise ToolError
    assert [(line.split()[0], line.partition(". ")[2]) for line in lines] == [
        ("build", "2.5 s"),
        ("install", "failed after 1.0 s"),
    ]
    assert len({len(line) for line in lines}) == 1


def test_load_has_a_time_limit_and_no_rights() -> None:
    pod = load.pod("docker.io/metricat/agent:1", "n2")
    spec = pod["spec"]
    assert isinstance(spec, dict)
    assert 0 < spec["activeDeadlineSeconds"] <= 300
    assert spec["automountServiceAccountToken"] is False
    compile(spec["containers"][0]["command"][2], "burn", "exec")


def test_target_leaves_the_labels_that_prometheus_requires_to_the_operator() -> None:
    spec = yaml.safe_load(demo_cluster.target())["spec"]
    [prometheus] = [
        document
        for document in yaml.safe_load_all(install.manifest("prometheus.yaml"))
        if document["kind"] == "Prometheus"
    ]
    assert prometheus["spec"]["serviceMonitorSelector"]["matchLabels"]
    assert "labels" not in {**spec.get("monitor", {}), **spec.get("alerts", {})}


def test_overlay_may_be_loaded_or_loadable(tmp_path: Path) -> None:
    assert preflight.overlay("nodev\tsysfs\nnodev\toverlay\n\text4\n", tmp_path)
    assert not preflight.overlay("nodev\tsysfs\n", tmp_path)
    module = tmp_path / "kernel/fs/overlayfs/overlay.ko.xz"
    module.parent.mkdir(parents=True)
    module.touch()
    assert preflight.overlay("nodev\tsysfs\n", tmp_path)


def test_available_memory_is_read() -> None:
    assert preflight.available("MemTotal: 10 kB\nMemAvailable:    2048 kB\n") == 2048 * 1024


def test_error_without_root_has_two_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ToolError, match=r"needs root\. Run `sudo make demo`, or run `make demo CLUSTER=current`"):
        preflight.check()


def test_existing_parent_of_the_cache_is_found(tmp_path: Path) -> None:
    assert preflight.existing(tmp_path / "a" / "b") == tmp_path
