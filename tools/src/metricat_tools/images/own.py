"""Metricat's own images, built by the checkout's Dockerfile."""

import shutil
import tomllib
from pathlib import Path

from metricat_tools.errors import ToolError
from metricat_tools.images import archive, base, engine, wheelhouse
from metricat_tools.images.built import Built, archive_path, prune
from metricat_tools.programs import cache

CHECKOUT = Path(__file__).resolve().parents[4]
TARGETS = ("operator", "agent")
_BUILD_REQUIREMENTS = Path("tools/src/metricat_tools/images/build.txt")


def ensure(target: str, *, checkout: Path = CHECKOUT, base_image: str = "") -> Built:
    """The image of this target as the checkout has it now, built first where nothing has built it before.

    `base_image` is any image that the Dockerfile's BASE may be; without it our own is made, with no registry.
    """
    context = sources(target, checkout)
    key = cache.key(base_image or base.key(), *(part for item in sorted(context.items()) for part in item))
    version = tomllib.loads((checkout / target / "pyproject.toml").read_text())["project"]["version"]
    plain = f"docker.io/metricat/{target}:{version}"
    built = Built(archive_path(target, key), (plain, f"{plain}-{key}"))
    if built.archive.exists():
        return built
    with cache.locked(f"image-{target}"):
        if not built.archive.exists():
            _build(target, built, context, base_image or base.ensure(), version)
            prune(target)
    return built


def sources(target: str, checkout: Path = CHECKOUT) -> dict[str, bytes]:
    """Every file of the checkout that goes into this target's image: its path there and its content."""
    files = [
        Path("Dockerfile"),
        Path(".dockerignore"),
        _BUILD_REQUIREMENTS,
        Path("requirements", f"{target}.txt"),
        *(
            path.relative_to(checkout)
            for path in (checkout / target).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ),
    ]
    if missing := [path for path in files if not (checkout / path).is_file()]:
        raise ToolError(f"{checkout / missing[0]} is missing: the {target} image is built from a whole checkout")
    return {str(path): (checkout / path).read_bytes() for path in files}


def _build(target: str, built: Built, context: dict[str, bytes], base_image: str, version: str) -> None:
    with cache.scratch() as made:
        for name, content in context.items():
            (made / "context" / name).parent.mkdir(parents=True, exist_ok=True)
            (made / "context" / name).write_bytes(content)
        requirements = [made / "context" / _BUILD_REQUIREMENTS, made / "context/requirements" / f"{target}.txt"]
        wheels = wheelhouse.ensure(target, requirements)
        shutil.copytree(wheels, made / "context" / "wheelhouse")
        engine.run(
            f"building {built.name}",
            *("build", "--layers", "--timestamp", "0", "--target", target, "--tag", built.exact),
            *("--build-arg", f"BASE={base_image}", "--build-arg", f"VERSION={version}"),
            made / "context",
        )
        exported = made / "image.tar"
        engine.run(f"exporting {built.name}", "push", built.exact, f"docker-archive:{exported}:{built.exact}")
        # The layers of the build stages stay for the next build; those of the finished image are in the archive.
        engine.run(f"tidying after {built.name}", "rmi", built.exact)
        archive.retag(exported, built.archive, built.tags)
