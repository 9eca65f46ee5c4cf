import io
import json
import tarfile
from pathlib import Path
from typing import Any

from metricat_tools.images.archive import Image, docker_archive, retag

NAME = "example.org/team/thing:1"


def opened(archive: Path) -> tuple[dict[str, Any], dict[str, Any], tarfile.TarFile]:
    """Return the manifest, the configuration and the only layer."""
    with tarfile.open(archive) as tar:
        contents = {member.name: tar.extractfile(member) for member in tar}
        data = {name: stream.read() for name, stream in contents.items() if stream}
    (manifest,) = json.loads(data["manifest.json"])
    (layer,) = manifest["Layers"]
    return manifest, json.loads(data[manifest["Config"]]), tarfile.open(fileobj=io.BytesIO(data[layer]))


def make(tmp_path: Path, name: str = "image.tar") -> Path:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o600)
    image = Image(tags=[NAME], entrypoint=["/bin/thing"], env={"PATH": "/bin"}, directories=["/var/lib/thing"])
    return docker_archive(tmp_path / name, image, {"/bin/thing": program, "/etc/passwd": b"nobody"})


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = make(tmp_path, "a.tar").read_bytes()
    (tmp_path / "program").unlink()
    assert make(tmp_path, "b.tar").read_bytes() == first


def test_layer_has_executable_programs_and_parents_before_children(tmp_path: Path) -> None:
    _, _, layer = opened(make(tmp_path))
    assert [(member.name, oct(member.mode)) for member in layer] == [
        ("bin", "0o755"),
        ("etc", "0o755"),
        ("var", "0o755"),
        ("var/lib", "0o755"),
        ("var/lib/thing", "0o1777"),
        ("bin/thing", "0o755"),
        ("etc/passwd", "0o644"),
    ]


def test_configuration_runs_the_program_as_nobody(tmp_path: Path) -> None:
    manifest, config, _ = opened(make(tmp_path))
    assert manifest["RepoTags"] == [NAME]
    assert config["config"]["Entrypoint"] == ["/bin/thing"]
    assert config["config"]["User"] == "65534:65534"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{manifest['Layers'][0].removesuffix('.tar')}"]


def test_failure_leaves_no_partial_archive(tmp_path: Path) -> None:
    image = Image(tags=[NAME], entrypoint=["/bin/thing"])
    try:
        docker_archive(tmp_path / "out" / "image.tar", image, {"/bin/thing": tmp_path / "absent"})
    except FileNotFoundError:
        assert list((tmp_path / "out").iterdir()) == []
    else:
        raise AssertionError


def test_retag_changes_only_the_names(tmp_path: Path) -> None:
    before, config, layer = opened(make(tmp_path))
    after, same_config, same_layer = opened(retag(tmp_path / "image.tar", tmp_path / "new.tar", ["a/b:1", "a/b:2"]))
    assert after["RepoTags"] == ["a/b:1", "a/b:2"]
    assert after["Layers"] == before["Layers"]
    assert same_config == config
    assert same_layer.getnames() == layer.getnames()
