"""The external programs that tests and the demo run: one pinned table, each program built or unpacked on first use.

The programs are stored in a cache outside the checkout. Downloads use only the package registries' own clients.
Nothing here starts the programs.
"""

from metricat_tools.binaries.debian import ensure_debian
from metricat_tools.binaries.golang import module_dir
from metricat_tools.binaries.obtain import ensure
from metricat_tools.binaries.table import OLD_SUFFIX

__all__ = ["OLD_SUFFIX", "ensure", "ensure_debian", "module_dir"]
