"""Renders the chart with Helm."""

from typing import Any

import yaml

from metricat_tools.generate.chart import NAMESPACE, RELEASE, helm
from support.paths import CHART


def render(*values: str, release: str = RELEASE) -> list[dict[str, Any]]:
    """Return the chart's objects with these values (`key=value`)."""
    sets = [f"--set={value}" for value in values]
    done = helm("template", release, CHART, f"--namespace={NAMESPACE}", *sets)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
