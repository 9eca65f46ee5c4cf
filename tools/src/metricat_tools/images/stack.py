"""The images of the monitoring stack beside Metricat, from scratch, under upstream's names and paths."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metricat_tools.images.archive import Image, docker_archive
from metricat_tools.images.built import Built, archive_path, prune
from metricat_tools.programs import cache, ensure
from metricat_tools.programs.obtain import cached, obtain
from metricat_tools.programs.table import PROGRAMS, PROMETHEUS_OPERATOR, DebianPackage, Program

REVISION = "2"
"""Part of every key: raise it when what is made of the same programs changes."""


@dataclass(frozen=True)
class Component:
    """One image: its upstream name, and which of our programs lie where in it (path inside -> program)."""

    tag: str
    programs: Mapping[str, str]
    data: tuple[str, ...] = ()
    """Files that the package of the programs lays beside them, and that they read at the same path."""
    directories: tuple[str, ...] = ("/tmp",)
    working_dir: str = "/"

    @property
    def name(self) -> str:
        """The image's own name, without registry and tag."""
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
            # Upstream's has its templates inside, Debian's reads them from here.
            data=tuple(f"/usr/share/prometheus/alertmanager/{name}.tmpl" for name in ("default", "email")),
            working_dir="/alertmanager",
        ),
    )
}


def ensure_stack(name: str) -> Built:
    """The image of one component, its programs built and the archive written first where they are missing."""
    component = COMPONENTS[name]
    found = ensure(*component.programs.values())
    programs = {inside: found[program] for inside, program in component.programs.items()}
    data = _data(component, found)
    key = cache.key(REVISION, repr(component), *map(_identity, programs.values()), *data.values())
    built = Built(archive_path(component.name, key), (component.tag, f"{component.tag}-{key}"))
    if not built.archive.exists():
        with cache.locked(f"image-{component.name}"):
            _archive(built, component, {**programs, **data})
            prune(component.name)
    return built


def libraries(program: Path) -> list[Path]:
    """The shared libraries that a program asks for, its loader included; none for a static one."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", done.stdout)] if done.returncode == 0 else []


def _identity(program: Path) -> str:
    """What tells this file from another: our cache names folders by content, PATH does not."""
    stat = program.stat()
    return f"{program.name} {stat.st_size} {stat.st_mtime_ns}"


def _data(component: Component, found: Mapping[str, Path]) -> dict[str, bytes]:
    """The component's data files: from this machine where its package is installed, else out of the package."""
    data = {path: Path(path).read_bytes() for path in component.data if Path(path).exists()}
    for name, program in found.items():
        source = PROGRAMS[name].source
        if isinstance(source, DebianPackage) and program == cached(PROGRAMS[name]):
            files = [Program(Path(path).name, source, path.lstrip("/")) for path in component.data]
            if not all(cached(file).exists() for file in files):
                obtain(source, files)
            data |= {f"/{file.member}": cached(file).read_bytes() for file in files}
    return data


def _archive(built: Built, component: Component, files: Mapping[str, Path | bytes]) -> None:
    image = Image(
        tags=built.tags,
        entrypoint=[next(iter(component.programs))],
        working_dir=component.working_dir,
        directories=[*component.directories, component.working_dir],
        # Go's own resolver: glibc's would want files and libraries that are not here.
        env={"PATH": "/bin", "GODEBUG": "netdns=go"},
    )
    programs = [file for file in files.values() if isinstance(file, Path)]
    needed = {str(library): library for program in programs for library in libraries(program)}
    docker_archive(built.archive, image, {**_USERS, **needed, **files})
