"""Docker archives from plain files: an image with one layer, with the same bytes for the same input.

The format is that of `docker save` (https://github.com/moby/docker-image-spec): a tar with the image's configuration,
its layers and a `manifest.json` that links them. containerd, Docker and Podman import it.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

NOBODY = "65534:65534"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """Settings of an image that is built from scratch, with the names of the OCI image configuration."""

    tags: Sequence[str]
    entrypoint: Sequence[str]
    user: str = NOBODY
    working_dir: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    directories: Sequence[str] = ()
    """Empty directories that every user may write to, such as `/tmp`."""


def architecture() -> str:
    """Return this machine's architecture, with the name that Go and registries use."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def docker_archive(destination: Path, image: Image, files: Mapping[str, Path | bytes]) -> Path:
    """Write `destination`: an image with one layer that holds `files` (absolute path inside -> a file, or its bytes).

    Root owns all files. A copied file is executable for all users; a file given as bytes is not. An unfinished archive
    never has the final name.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        layer = Path(folder, "layer.tar")
        with tarfile.open(layer, "w") as tar:
            _fill(tar, image, files)
        diff_id = _sha256(layer)
        config = _config(image, diff_id)
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        manifest = [{"Config": config_name, "RepoTags": list(image.tags), "Layers": [f"{diff_id}.tar"]}]
        partial = Path(folder, "image.tar")
        with tarfile.open(partial, "w") as tar:
            _add(tar, f"{diff_id}.tar", layer, mode=0o644)
            _add(tar, config_name, config, mode=0o644)
            _add(tar, "manifest.json", _json(manifest), mode=0o644)
        partial.replace(destination)
    return destination


def retag(source: Path, destination: Path, tags: Sequence[str]) -> Path:
    """Copy a docker archive of one image to `destination`, with these names instead of its own."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        partial = Path(folder, "image.tar")
        with tarfile.open(source) as old, tarfile.open(partial, "w") as new:
            for member in old:
                content = old.extractfile(member) if member.isreg() else None
                if content is not None and member.name == "manifest.json":
                    (manifest,) = json.load(content)
                    manifest["RepoTags"] = list(tags)
                    _add(new, member.name, _json([manifest]), mode=0o644)
                else:
                    new.addfile(member, content)
        partial.replace(destination)
    return destination


def _fill(tar: tarfile.TarFile, image: Image, files: Mapping[str, Path | bytes]) -> None:
    writable = {_inside(path) for path in image.directories}
    names = {_inside(path): content for path, content in files.items()}
    parents = {parent for name in (*names, *writable) for parent in _parents(name)}
    for name in sorted(parents | writable):
        entry = tarfile.TarInfo(name)
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o1777 if name in writable else 0o755
        tar.addfile(entry)
    for name, content in sorted(names.items()):
        _add(tar, name, content, mode=0o644 if isinstance(content, bytes) else 0o755)


def _inside(path: str) -> str:
    return str(PurePosixPath(path).relative_to("/"))


def _parents(name: str) -> Iterator[str]:
    return (str(parent) for parent in PurePosixPath(name).parents if parent.name)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes, *, mode: int) -> None:
    """Add a file without time and owner."""
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        return
    entry.size = content.stat().st_size
    with content.open("rb") as source:
        tar.addfile(entry, source)


def _config(image: Image, diff_id: str) -> bytes:
    return _json(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{name}={value}" for name, value in sorted(image.env.items())],
                "Labels": dict(image.labels),
                "User": image.user,
                "WorkingDir": image.working_dir,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
            "history": [{"created_by": "metricat_tools.images.archive"}],
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
