"""`ensure`: images by name, each built only where the cache does not have it as its sources are now."""

from metricat_tools.errors import ToolError
from metricat_tools.images import own, stack
from metricat_tools.images.built import Built

STACK = "stack"


def ensure(*names: str, base_image: str = "") -> dict[str, Built]:
    """The images of these names (`operator`, `agent`, one of the stack's, or `stack` for all of those), in order."""
    wanted = [one for name in names for one in (stack.COMPONENTS if name == STACK else [name])]
    known = (*own.TARGETS, *stack.COMPONENTS)
    if unknown := [name for name in wanted if name not in known]:
        raise ToolError(f"there is no image {unknown[0]}: choose of {', '.join((*known, STACK))}")
    return {
        name: own.ensure(name, base_image=base_image) if name in own.TARGETS else stack.ensure_stack(name)
        for name in dict.fromkeys(wanted)
    }
