"""The system's Chromium, which tests, screenshots and benchmarks of the hub's web page run without a window."""

from __future__ import annotations

import os
import shutil
import subprocess

from metricat_tools.errors import ToolError

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return the path of Chromium. As root on Debian, install its package if it is missing."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "-qq", *command], check=False, env=environment, stdout=subprocess.DEVNULL)
        found = shutil.which("chromium")
    if found is None:
        raise ToolError("Chromium is missing. Install the package chromium.")
    return found
