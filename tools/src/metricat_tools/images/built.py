"""What an image is once it is made: an archive in the cache, and the names it bears."""

from dataclasses import dataclass
from pathlib import Path

from metricat_tools.programs import cache

KEPT = 3
"""How many archives of one image stay in the cache: another checkout may be using an older one."""


@dataclass(frozen=True)
class Built:
    """A docker archive; the first of its names is the plain one, normalised as containerd normalises it."""

    archive: Path
    tags: tuple[str, ...]

    @property
    def name(self) -> str:
        """The image's plain name, such as `docker.io/metricat/agent:0.1.0`."""
        return self.tags[0]

    @property
    def exact(self) -> str:
        """The name that changes with the content: what a rollout, or a node's image store, can tell apart."""
        return self.tags[-1]


def archive_path(name: str, key: str) -> Path:
    """Where the archive of this image and content lies in the cache."""
    return cache.root() / "images" / f"{name}-{key}.tar"


def prune(name: str) -> None:
    """Remove all but the newest archives of this image."""
    keys = "[0-9a-f]" * 12
    archives = sorted(archive_path(name, "x").parent.glob(f"{name}-{keys}.tar"), key=lambda path: path.stat().st_mtime)
    for old in archives[:-KEPT]:
        old.unlink(missing_ok=True)
