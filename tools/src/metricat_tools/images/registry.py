"""Somebody's registry: where images go for a cluster that is not ours."""

from metricat_tools.images import engine
from metricat_tools.images.built import Built


def under(registry: str, name: str) -> str:
    """An image's name in this registry: `docker.io/metricat/agent:1` -> `REGISTRY/metricat/agent:1`."""
    return f"{registry.rstrip('/')}/{name.partition('/')[2]}"


def push(built: Built, registry: str, *, tls_verify: bool = True) -> list[str]:
    """Push the image under all of its names, which are returned as the registry has them."""
    pushed = [under(registry, name) for name in built.tags]
    engine.run(f"reading {built.name}", "pull", f"docker-archive:{built.archive}")
    verify = f"--tls-verify={str(tls_verify).lower()}"
    try:
        for name, target in zip(built.tags, pushed, strict=True):
            engine.run(f"pushing {target}", "push", verify, name, f"docker://{target}")
    finally:
        engine.run(f"tidying after {built.name}", "rmi", *built.tags)
    return pushed
