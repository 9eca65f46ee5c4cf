import re
from pathlib import Path

import pytest

from metricat_tools.errors import ToolError
from metricat_tools.images import base, product, registry, wheelhouse
from metricat_tools.images.ensure import ensure_images
from metricat_tools.images.stored import KEPT, StoredImage


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a small checkout with its own cache."""
    monkeypatch.setenv("METRICAT_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "checkout"
    for name, text in {
        "Dockerfile": "FROM scratch",
        ".dockerignore": "*",
        "requirements/agent.txt": "psutil==1",
        "tools/src/metricat_tools/images/build.txt": "pip==1",
        "agent/pyproject.toml": '[project]\nversion = "1.2.3"',
        "agent/src/metricat_agent/__init__.py": "",
        "agent/src/metricat_agent/__pycache__/x.pyc": "compiled",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def built_before(checkout: Path) -> str:
    """Return the exact name of the agent's image. Its archive is put in place as if it had been built."""
    made: list[StoredImage] = []

    def build(_: str, image: StoredImage, *__: object) -> None:
        image.archive.parent.mkdir(parents=True, exist_ok=True)
        image.archive.touch()
        made.append(image)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "_build", build)
        image = product.ensure("agent", checkout=checkout, base_image="example.org/python:3.11")
    assert len(made) <= 1
    return image.exact


def test_name_is_normalised_and_has_version_and_content(checkout: Path) -> None:
    exact = built_before(checkout)
    assert exact.startswith("docker.io/metricat/agent:1.2.3-")


def test_changed_source_gives_another_image(checkout: Path) -> None:
    names = {built_before(checkout)}
    for name in product.sources("agent", checkout):
        path = checkout / name
        path.write_text(path.read_text() + "\n")
        names.add(built_before(checkout))
    assert len(names) == 1 + len(product.sources("agent", checkout))


def test_bytecode_and_other_packages_are_not_sources(checkout: Path) -> None:
    before = built_before(checkout)
    (checkout / "agent/src/metricat_agent/__pycache__/y.pyc").write_text("compiled")
    (checkout / "operator").mkdir()
    (checkout / "operator/pyproject.toml").touch()
    assert built_before(checkout) == before


def test_old_archives_are_removed(checkout: Path, tmp_path: Path) -> None:
    for number in range(5):
        (checkout / "agent/src/metricat_agent/__init__.py").write_text(f"x = {number}")
        built_before(checkout)
    assert len(list((tmp_path / "cache/images").glob("agent-*.tar"))) == KEPT


def test_error_names_a_missing_file(checkout: Path) -> None:
    (checkout / "requirements/agent.txt").unlink()
    with pytest.raises(ToolError, match=r"requirements/agent\.txt is missing"):
        product.sources("agent", checkout)


def test_unknown_image_error_lists_the_known_images() -> None:
    with pytest.raises(ToolError, match=r"unknown image agnet\. Choose from operator, agent"):
        ensure_images("agnet")


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("registry.example.org:5000", "registry.example.org:5000/metricat/agent:1"),
        ("registry.example.org/team/", "registry.example.org/team/metricat/agent:1"),
    ],
)
def test_image_name_starts_with_the_registry(where: str, name: str) -> None:
    assert registry.under(where, "docker.io/metricat/agent:1") == name


def test_mmdebstrap_receives_only_apt_settings_about_reaching_an_archive(tmp_path: Path) -> None:
    (tmp_path / "10proxy").write_text('Acquire::http::Proxy "http://proxy.example.org";')
    (tmp_path / "20block").write_text('  Acquire {\n  https { CaInfo "/ca"; };\n};')
    (tmp_path / "30hooks").write_text('DPkg::Post-Invoke { "rm"; };\n# Acquire nothing')
    assert [path.name for path in base.transports(tmp_path)] == ["10proxy", "20block"]
    assert base.transports(tmp_path / "absent") == []


def test_pip_failures_have_their_own_messages() -> None:
    assert "hash differs" in str(wheelhouse.explain("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM ..."))
    assert "cannot reach the package index" in str(wheelhouse.explain("NewConnectionError: ..."))
    assert wheelhouse.explain("another error") is None


def test_context_has_every_folder_that_the_dockerfile_copies() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", (product.CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    ignored = (product.CHECKOUT / ".dockerignore").read_text().splitlines()
    assert {"agent", "operator", "hub"} <= set(copied)
    assert [folder for folder in copied if f"!{folder}" not in ignored] == []
    folders = {path.partition("/")[0] for target in product.TARGETS for path in product.sources(target)}
    assert set(copied) <= folders
