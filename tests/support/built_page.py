"""The page as `make web` builds it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "hub/src/metricat_hub/page"
WEB = CHECKOUT / "web"


def ensure_page() -> Path:
    """Return the folder of the built page. Build it if its sources are newer; one process at a time does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with Path(tempfile.gettempdir(), f"metricat-page-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "--no-print-directory", "-C", str(CHECKOUT), "web"], check=True, env=environment)
    if shutil.which("npm") is None and not os.environ.get("CI"):
        pytest.skip("Node.js is missing, so the page is not built")
    assert (FOLDER / "index.html").exists(), "the page is not built: see the output of make web"
    return FOLDER
