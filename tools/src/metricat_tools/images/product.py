"""Metricat's own images, built with the checkout's Dockerfile."""

import shutil
import tomllib
from pathlib import Path

from metricat_tools.binaries import cache
from metricat_tools.errors import ToolError
from metricat_tools.images import archive, base, engine, wheelhouse
from metricat_tools.images.stored import StoredImage, archive_path, prune

CHECKOUT = Path(__file__).resolve().parents[4]
TARGETS = ("operator", "agent", "hub")
_FOLDERS = {"operator": ("cli", "operator", "rules"), "hub": ("agent", "cli", "hub", "rules")}
"""Folders of a target's sources, if there is more than its own."""
_BUILD_REQUIREMENTS = Path("tools/src/metricat_tools/images/build.txt")


def ensure(target: str, *, checkout: Path = CHECKOUT, base_image: str = "") -> StoredImage:
    """Return the image of this target for the checkout's current content, and build it if the cache has none.

    `base_image` is any image that the Dockerfile's BASE may be. Without it, our own base is built, without a registry.
    """
    context = sources(target, checkout)
    key = cache.key(base_image or base.key(), *(part for item in sorted(context.items()) for part in item))
    version = tomllib.loads((checkout / target / "pyproject.toml").read_text())["project"]["version"]
    plain = f"docker.io/metricat/{target}:{version}"
    image = StoredImage(archive_path(target, key), (plain, f"{plain}-{key}"))
    if image.archive.exists():
        return image
    with cache.locked(f"image-{target}"):
        if not image.archive.exists():
            _build(target, image, context, base_image or base.ensure(), version)
            prune(target)
    return image


def sources(target: str, checkout: Path = CHECKOUT) -> dict[str, bytes]:
    """Return every file of the checkout that goes into this target's image, as path -> content."""
    files = [
        Path("Dockerfile"),
        Path(".dockerignore"),
        _BUILD_REQUIREMENTS,
        Path("requirements", f"{target}.txt"),
        *(
            path.relative_to(checkout)
            for folder in _FOLDERS.get(target, (target,))
            for path in (checkout / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ),
    ]
    if missing := [path for path in files if not (checkout / path).is_file()]:
        raise ToolError(f"{checkout / missing[0]} is missing: the {target} image is built from a complete checkout")
    return {str(path): (checkout / path).read_bytes() for path in files}


def _build(target: str, image: StoredImage, context: dict[str, bytes], base_image: str, version: str) -> None:
    with cache.scratch() as made:
        for name, content in context.items():
            (made / "context" / name).parent.mkdir(parents=True, exist_ok=True)
            (made / "context" / name).write_bytes(content)
        requirements = [made / "context" / _BUILD_REQUIREMENTS, made / "context/requirements" / f"{target}.txt"]
        wheels = wheelhouse.ensure(target, requirements)
        shutil.copytree(wheels, made / "context" / "wheelhouse")
        engine.run(
            f"building {image.name}",
            *("build", "--layers", "--timestamp", "0", "--target", target, "--tag", image.exact),
            *("--build-arg", f"BASE={base_image}", "--build-arg", f"VERSION={version}"),
            made / "context",
        )
        exported = made / "image.tar"
        engine.run(f"exporting {image.name}", "push", image.exact, f"docker-archive:{exported}:{image.exact}")
        # Keep the layers of the build stages for the next build. The archive has those of the finished image.
        engine.run(f"removing the working copy of {image.name}", "rmi", image.exact)
        archive.retag(exported, image.archive, image.tags)
