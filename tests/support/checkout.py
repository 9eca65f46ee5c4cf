"""A copy of this checkout, in which a test can install packages without a change to the original."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from support.paths import ROOT


def copy_checkout(folder: Path, others: Iterable[Path] = ()) -> Path:
    """Copy the files of Git, and other files of the checkout, into the folder, and return it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in [*filter(None, listed.split("\0")), *(str(one.relative_to(ROOT)) for one in others)]:
        source = ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def environment_for_packages() -> dict[str, str]:
    """Return the variables with which pip reaches the package index of this machine."""
    return {
        key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "UV_")) or "proxy" in key
    }
