"""The user's registry, to which images for the user's own cluster are pushed."""

from metricat_tools.images import engine
from metricat_tools.images.stored import StoredImage


def under(registry: str, name: str) -> str:
    """Return an image's name in this registry: `docker.io/metricat/agent:1` -> `REGISTRY/metricat/agent:1`."""
    return f"{registry.rstrip('/')}/{name.partition('/')[2]}"


def push(image: StoredImage, registry: str, *, tls_verify: bool = True) -> list[str]:
    """Push the image under all its names, and return the names in the registry."""
    pushed = [under(registry, name) for name in image.tags]
    engine.run(f"reading {image.name}", "pull", f"docker-archive:{image.archive}")
    verify = f"--tls-verify={str(tls_verify).lower()}"
    try:
        for name, target in zip(image.tags, pushed, strict=True):
            engine.run(f"pushing {target}", "push", verify, name, f"docker://{target}")
    finally:
        engine.run(f"removing the working copy of {image.name}", "rmi", *image.tags)
    return pushed
