"""A built image: an archive in the cache, and its names."""

from dataclasses import dataclass
from pathlib import Path

from metricat_tools.binaries import cache

KEPT = 3
"""How many archives of one image stay in the cache: another checkout may use an older one."""


@dataclass(frozen=True)
class StoredImage:
    """A docker archive. The first name is the plain one, in the normalised form that containerd uses."""

    archive: Path
    tags: tuple[str, ...]

    @property
    def name(self) -> str:
        """The image's plain name, such as `docker.io/metricat/agent:0.1.0`."""
        return self.tags[0]

    @property
    def exact(self) -> str:
        """The name that changes with the content, so that a rollout or a node's image store sees a new image."""
        return self.tags[-1]


def archive_path(name: str, key: str) -> Path:
    """Return the path in the cache of this image's archive for this content key."""
    return cache.root() / "images" / f"{name}-{key}.tar"


def prune(name: str) -> None:
    """Remove this image's archives, except the newest."""
    keys = "[0-9a-f]" * 12
    archives = sorted(archive_path(name, "x").parent.glob(f"{name}-{keys}.tar"), key=lambda path: path.stat().st_mtime)
    for old in archives[:-KEPT]:
        old.unlink(missing_ok=True)
