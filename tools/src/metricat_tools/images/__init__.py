"""Container images: Metricat's two by the Dockerfile, other people's programs as archives made from scratch.

Nothing here needs a registry or a container engine's daemon; whatever an image is made of is hashed into its key, so
that what is already there is never made twice.
"""

from metricat_tools.images.built import Built
from metricat_tools.images.obtain import STACK, ensure

__all__ = ["STACK", "Built", "ensure"]
