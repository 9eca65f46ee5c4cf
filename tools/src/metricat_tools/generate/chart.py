"""The golden renders of the chart: Helm's output for each values file in `charts/metricat/ci`."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from metricat_tools.binaries import ensure
from metricat_tools.errors import ToolError

RELEASE, NAMESPACE = "metricat", "monitoring"


def cases(chart: Path) -> list[Path]:
    """Return the values files in the chart's folder `ci`, sorted by name."""
    return sorted((chart / "ci").glob("*.yaml"))


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm without access to a cluster."""
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    command = [ensure("helm")["helm"], *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def text(chart: Path, values: Path) -> str:
    """Return the objects of the chart with these values, without the contents of ConfigMaps."""
    rendered = _output("template", RELEASE, chart, f"--namespace={NAMESPACE}", f"--values={values}")
    return "---\n".join(map(_without_contents, rendered.split("---\n")))


def without_helm(chart: Path) -> str:
    """Return the objects of the chart's defaults for `kubectl apply`: without hooks and without Helm's labels."""
    rendered = _output("template", RELEASE, chart, f"--namespace={NAMESPACE}", "--set=crds.upgradeJob.enabled=false")
    kept = (one for one in rendered.split("---\n") if "\n    helm.sh/hook: " not in one)
    lines = "---\n".join(kept).splitlines(keepends=True)
    return "".join(
        line for line in lines if not re.match(r" *(app.kubernetes.io/managed-by: Helm|helm.sh/chart:)", line)
    )


def notes(chart: Path, values: Path) -> str:
    """Return the notes that Helm prints after an install with these values."""
    command = ("install", RELEASE, chart, f"--namespace={NAMESPACE}", f"--values={values}")
    release = json.loads(_output(*command, "--dry-run=client", "--output=json"))
    return str(release["info"]["notes"]).strip() + "\n"


def _output(*arguments: str | Path) -> str:
    done = helm(*arguments)
    if done.returncode != 0:
        raise ToolError(f"helm {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _without_contents(document: str) -> str:
    """Keep the keys of a ConfigMap only: its contents are the CRDs and dashboards, which are in the chart as files."""
    return "".join(_keys(document.splitlines(keepends=True))) if "\nkind: ConfigMap\n" in document else document


def _keys(lines: list[str]) -> Iterator[str]:
    data = False
    for line in lines:
        data = line == "data:\n" if not line.startswith(" ") else data
        if not data or line == "data:\n":
            yield line
        elif not line.startswith("   "):
            yield line.partition(":")[0] + ": ...\n"
