"""The chart as Helm renders it."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from metricat_tools.binaries import ensure
from support.paths import CHART

RELEASE, NAMESPACE = "metricat", "monitoring"


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm."""
    return subprocess.run([ensure("helm")["helm"], *arguments], capture_output=True, text=True, check=False)


def render(*values: str, release: str = RELEASE) -> list[dict[str, Any]]:
    """Return the chart's objects with these values (`key=value`)."""
    sets = [f"--set={value}" for value in values]
    done = helm("template", release, CHART, f"--namespace={NAMESPACE}", *sets)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
