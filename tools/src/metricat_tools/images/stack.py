"""The images of the monitoring stack beside Metricat, from scratch, under upstream's names and paths."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metricat_tools.images.archive import Image, docker_archive
from metricat_tools.images.built import Built, archive_path, prune
from metricat_tools.programs import cache, ensure
from metricat_tools.programs.table import PROMETHEUS_OPERATOR

REVISION = "1"
"""Part of every key: raise it when what is made of the same programs changes."""


@dataclass(frozen=True)
class Component:
    """One image: its upstream name, and which of our programs lie where in it (path inside -> program)."""

    tag: str
    programs: Mapping[str, str]
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
            working_dir="/alertmanager",
        ),
    )
}


def ensure_stack(name: str) -> Built:
    """The image of one component, its programs built and the archive written first where they are missing."""
    component = COMPONENTS[name]
    found = ensure(*component.programs.values())
    programs = {inside: found[program] for inside, program in component.programs.items()}
    key = cache.key(REVISION, repr(component), *map(_identity, programs.values()))
    built = Built(archive_path(component.name, key), (component.tag,))
    if not built.archive.exists():
        with cache.locked(f"image-{component.name}"):
            _archive(built, component, programs)
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


def _archive(built: Built, component: Component, programs: Mapping[str, Path]) -> None:
    image = Image(
        tags=built.tags,
        entrypoint=[next(iter(programs))],
        working_dir=component.working_dir,
        directories=[*component.directories, component.working_dir],
        # Go's own resolver: glibc's would want files and libraries that are not here.
        env={"PATH": "/bin", "GODEBUG": "netdns=go"},
    )
    needed = {str(library): library for program in programs.values() for library in libraries(program)}
    docker_archive(built.archive, image, {**_USERS, **needed, **programs})
