"""The external programs that tests and the demo run: one pinned table, each obtained on first use.

Programs are built or unpacked into a cache outside the checkout, and only when somebody asks for them. Nothing here
starts a program for its own sake, and nothing is fetched except through the package registries' ordinary clients.
"""

from metricat_tools.binaries.debian import ensure_debian
from metricat_tools.binaries.golang import module_dir
from metricat_tools.binaries.obtain import ensure

__all__ = ["ensure", "ensure_debian", "module_dir"]
