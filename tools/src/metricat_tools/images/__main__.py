"""`python -m metricat_tools images [NAME...] [--push REGISTRY]`."""

import argparse
import time
from collections.abc import Sequence

from metricat_tools.images import own, registry, stack
from metricat_tools.images.obtain import STACK, ensure


def main(arguments: Sequence[str]) -> None:
    """Build the images that are missing and tell where each is."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools images", description=__doc__)
    names = (*own.TARGETS, STACK, *stack.COMPONENTS)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; without any: all, or Metricat's own to push"
    )
    parser.add_argument("--base", default="", metavar="IMAGE", help="build on this image instead of a base of our own")
    parser.add_argument("--push", default="", metavar="REGISTRY", help="push there, as REGISTRY/metricat/agent:VERSION")
    parser.add_argument("--insecure", action="store_true", help="the registry speaks plain HTTP")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    # The stack's images are upstream's: somebody's cluster pulls those from where upstream puts them.
    wanted = chosen.names or (own.TARGETS if chosen.push else (*own.TARGETS, STACK))
    images = ensure(*wanted, base_image=chosen.base)
    for built in images.values():
        print(f"{built.name:<66} {built.archive.stat().st_size / 1e6:>6.0f} MB  {built.archive}")
    if chosen.push:
        for built in images.values():
            print(*registry.push(built, chosen.push, tls_verify=not chosen.insecure), sep="\n")
    print(f"{len(images)} images in {time.monotonic() - started:.1f} s")
