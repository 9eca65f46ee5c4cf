"""`ensure_images`: returns images by name, and builds an image if the cache has none for its current sources."""

from metricat_tools.errors import ToolError
from metricat_tools.images import product, stack
from metricat_tools.images.stored import StoredImage

STACK = "stack"


def ensure_images(*names: str, base_image: str = "") -> dict[str, StoredImage]:
    """Return the images with these names, in order. `stack` means all images of the monitoring stack."""
    wanted = [one for name in names for one in (stack.COMPONENTS if name == STACK else [name])]
    known = (*product.TARGETS, *stack.COMPONENTS)
    if unknown := [name for name in wanted if name not in known]:
        raise ToolError(f"unknown image {unknown[0]}. Choose from {', '.join((*known, STACK))}")
    return {
        name: product.ensure(name, base_image=base_image) if name in product.TARGETS else stack.ensure_stack(name)
        for name in dict.fromkeys(wanted)
    }
