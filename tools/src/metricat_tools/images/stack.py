"""The images of the monitoring stack, built from scratch, with upstream's names and paths."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metricat_tools.binaries import cache, ensure
from metricat_tools.binaries.obtain import cached, obtain
from metricat_tools.binaries.table import PROGRAMS, PROMETHEUS_OPERATOR, DebianPackage, Program
from metricat_tools.images.archive import Image, docker_archive
from metricat_tools.images.stored import StoredImage, archive_path, prune

REVISION = "2"
"""Part of every image's key. Increase it when images change although their programs do not."""


@dataclass(frozen=True)
class Component:
    """One image: its upstream name, and its programs (path inside -> name of the program)."""

    tag: str
    programs: Mapping[str, str]
    data: tuple[str, ...] = ()
    """Files of the programs' package that the programs read, at the same path."""
    directories: tuple[str, ...] = ("/tmp",)  # noqa: S108 -- of the image
    working_dir: str = "/"

    @property
    def name(self) -> str:
        """The image's name, without registry and tag."""
        return self.tag.rpartition("/")[2].partition(":")[0]


_USERS = {"/etc/passwd": b"nobody:x:65534:65534:nobody:/:/sbin/nologin\n", "/etc/group": b"nobody:x:65534:\n"}

COMPONENTS = {
    component.name: component
    for component in (
        Component(
            f"quay.io/prometheus-operator/prometheus-operator:{PROMETHEUS_OPERATOR.version}",
            {"/bin/operator": "prometheus-operator"},
        ),
        Component(
            f"quay.io/prometheus-operator/prometheus-config-reloader:{PROMETHEUS_OPERATOR.version}",
            {"/bin/prometheus-config-reloader": "prometheus-config-reloader"},
        ),
        Component(
            "quay.io/prometheus/prometheus:v3.15.0",
            {"/bin/prometheus": "prometheus", "/bin/promtool": "promtool"},
            working_dir="/prometheus",
        ),
        Component(
            "quay.io/prometheus/alertmanager:v0.25.0",
            {"/bin/alertmanager": "prometheus-alertmanager", "/bin/amtool": "amtool"},
            # Upstream's binary contains its templates. Debian's binary reads them from here.
            data=tuple(f"/usr/share/prometheus/alertmanager/{name}.tmpl" for name in ("default", "email")),
            working_dir="/alertmanager",
        ),
    )
}


def ensure_stack(name: str) -> StoredImage:
    """Return the image of one component. Build its programs and write the archive if they are missing."""
    component = COMPONENTS[name]
    found = ensure(*component.programs.values())
    programs = {inside: found[program] for inside, program in component.programs.items()}
    data = _data(component, found)
    key = cache.key(REVISION, repr(component), *map(_identity, programs.values()), *data.values())
    image = StoredImage(archive_path(component.name, key), (component.tag, f"{component.tag}-{key}"))
    if not image.archive.exists():
        with cache.locked(f"image-{component.name}"):
            _archive(image, component, {**programs, **data})
            prune(component.name)
    return image


def libraries(program: Path) -> list[Path]:
    """Return the shared libraries that a program needs, its loader included. A static program needs none."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", done.stdout)] if done.returncode == 0 else []


def _identity(program: Path) -> str:
    """Return the identity of this file.

    A path in our cache contains a hash of the content; a path from PATH does not.
    """
    stat = program.stat()
    return f"{program.name} {stat.st_size} {stat.st_mtime_ns}"


def _data(component: Component, found: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the component's data files: this machine's if its package is installed, otherwise the package's."""
    data = {path: Path(path).read_bytes() for path in component.data if Path(path).exists()}
    for name, program in found.items():
        source = PROGRAMS[name].source
        if isinstance(source, DebianPackage) and program == cached(PROGRAMS[name]):
            files = [Program(Path(path).name, source, path.lstrip("/")) for path in component.data]
            if not all(cached(file).exists() for file in files):
                obtain(source, files)
            data |= {f"/{file.member}": cached(file).read_bytes() for file in files}
    return data


def _archive(image: StoredImage, component: Component, files: Mapping[str, Path | bytes]) -> None:
    recipe = Image(
        tags=image.tags,
        entrypoint=[next(iter(component.programs))],
        working_dir=component.working_dir,
        directories=[*component.directories, component.working_dir],
        # Use Go's own resolver: glibc's needs files and libraries that the image does not have.
        env={"PATH": "/bin", "GODEBUG": "netdns=go"},
    )
    programs = [file for file in files.values() if isinstance(file, Path)]
    needed = {str(library): library for program in programs for library in libraries(program)}
    docker_archive(image.archive, recipe, {**_USERS, **needed, **files})
