"""`python -m metricat_tools images [NAME...] [--push REGISTRY]`."""

import argparse
import time
from collections.abc import Sequence

from metricat_tools.images import product, registry, stack
from metricat_tools.images.ensure import STACK, ensure_images


def main(arguments: Sequence[str]) -> None:
    """Build the missing images and print the path of each."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools images", description=__doc__)
    names = (*product.TARGETS, STACK, *stack.COMPONENTS)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one or more of {', '.join(names)} (default: all, or Metricat's own with --push)",
    )
    parser.add_argument("--base", default="", metavar="IMAGE", help="build on this image instead of our own base")
    parser.add_argument(
        "--push", default="", metavar="REGISTRY", help="push to this registry, as REGISTRY/metricat/agent:VERSION"
    )
    parser.add_argument("--insecure", action="store_true", help="the registry uses plain HTTP")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    # Do not push the stack's images: the user's cluster pulls them from upstream's registries.
    wanted = chosen.names or (product.TARGETS if chosen.push else (*product.TARGETS, STACK))
    images = ensure_images(*wanted, base_image=chosen.base)
    for image in images.values():
        print(f"{image.name:<66} {image.archive.stat().st_size / 1e6:>6.0f} MB  {image.archive}")
    if chosen.push:
        for image in images.values():
            print(*registry.push(image, chosen.push, tls_verify=not chosen.insecure), sep="\n")
    print(f"{len(images)} images in {time.monotonic() - started:.1f} s")
