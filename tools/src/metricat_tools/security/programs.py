"""The programs of `requirements/security.txt` and `requirements/chart.txt`, in environments of their own."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from metricat_tools.errors import ToolError

ROOT = Path(__file__).parents[4]
ENVIRONMENT = ROOT / ".venv-security"
CHART = ROOT / ".venv-chart"
"""The environment of checkov."""


def run(program: str, *arguments: str | Path, statuses: Sequence[int] = (0,), environment: Path = ENVIRONMENT) -> str:
    """Run a program in the checkout, and return its standard output.

    Raises:
        ToolError: the program is missing, or its exit status is not one of `statuses`.
    """
    path = environment / "bin" / program
    if not path.exists():
        raise ToolError(f"{path} is missing. Run the check by its make target, which installs it")
    # Without this, semgrep and pip-audit write colors and progress bars.
    variables = os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([path, *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    if done.returncode not in statuses:
        raise ToolError(
            f"{program} failed with status {done.returncode}:\n{(done.stderr or done.stdout).strip()[-4000:]}"
        )
    return done.stdout
