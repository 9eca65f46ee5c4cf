"""`make audit`: report known vulnerabilities of the pinned Python and npm packages."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from metricat_tools.errors import ToolError
from metricat_tools.security.programs import ROOT, run

LISTS = ("agent", "operator", "hub", "chart", "dev", "fuzz", "security", "uv")
_WEB = ("web", "docs")
_UNREACHABLE = "The data of vulnerabilities are not available here: {}. Run make audit on a machine with access to it"


def audit() -> None:
    """Check every list of pinned packages.

    Raises:
        ToolError: a package has a known vulnerability, or the data about vulnerabilities cannot be reached.
    """
    found = [*_python(), *_npm()]
    if found:
        raise ToolError("\n".join(["known vulnerabilities:", *sorted(set(found))]))
    print(f"no known vulnerabilities in {len(LISTS)} lists of Python packages and {len(_WEB)} of npm packages")


def _python() -> Iterator[str]:
    for name in LISTS:
        output = run(
            *("pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"),
            *("--requirement", ROOT / "requirements" / f"{name}.txt"),
            statuses=(0, 1),
        )
        try:
            report = json.loads(output)
        except ValueError:
            raise ToolError(_UNREACHABLE.format("pip-audit printed no report")) from None
        yield from python_findings(report)


def python_findings(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the vulnerabilities of a report of pip-audit.

    Raises:
        ToolError: pip-audit skipped a package. pip-audit does so without an error when it cannot reach its data.
    """
    for package in report["dependencies"]:
        if why := package.get("skip_reason"):
            raise ToolError(_UNREACHABLE.format(why))
        for one in package["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "no version"
            yield f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}"


def _npm() -> Iterator[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise ToolError("npm is missing. Install Node.js 18 or newer")
    for folder in _WEB:
        done = subprocess.run([npm, "audit", "--json"], cwd=ROOT / folder, capture_output=True, text=True, check=False)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            raise ToolError(_UNREACHABLE.format("npm audit printed no report")) from None
        yield from npm_findings(report)


def npm_findings(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the vulnerabilities of a report of `npm audit`; raise `ToolError` if it could not reach the data."""
    if "vulnerabilities" not in report:
        raise ToolError(_UNREACHABLE.format(f"npm audit: {report.get('message') or report.get('error') or report}"))
    for name, one in report["vulnerabilities"].items():
        yield f"{name} {one['range']}: {one['severity']}"
