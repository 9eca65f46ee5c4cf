"""Container images: Metricat's own from the Dockerfile, third-party programs as archives built from scratch.

Nothing here needs a registry or a container engine's daemon. An image's key is a hash of everything that the image is
made of. An unchanged image is not built while the cache has it.
"""

from metricat_tools.images.ensure import STACK, ensure_images
from metricat_tools.images.stored import StoredImage

__all__ = ["STACK", "StoredImage", "ensure_images"]
