"""`make sbom`: write the pinned packages of each image as CycloneDX into dist/."""

import json
import re
from typing import Any

from metricat_tools.errors import ToolError
from metricat_tools.security.programs import ROOT, run

IMAGES = ("agent", "operator", "hub")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)|--hash=sha256:([0-9a-f]{64})", re.MULTILINE)
_SEPARATORS = re.compile(r"[-_.]+")

Pin = tuple[str, str, str]
"""Name, version and SHA-256 of one file of a package."""


def sbom() -> None:
    """Write an SBOM for each image, and check that it lists every pinned file.

    Raises:
        ToolError: an SBOM lacks a pinned file.
    """
    (ROOT / "dist").mkdir(exist_ok=True)
    for image in IMAGES:
        requirements = ROOT / "requirements" / f"{image}.txt"
        path = ROOT / "dist" / f"sbom-{image}.cdx.json"
        run(
            *(
                "cyclonedx-py",
                "requirements",
                "--output-reproducible",
                "--output-format",
                "JSON",
                "--output-file",
                path,
            ),
            *("--pyproject", ROOT / image / "pyproject.toml", requirements),
        )
        pinned, listed = pins(requirements.read_text()), files(json.loads(path.read_text()))
        if missing := sorted(pinned - listed):
            raise ToolError(f"{path} lacks {len(missing)} pinned files, such as {' '.join(missing[0])}")
        packages = len({name for name, _, _ in pinned})
        print(f"{path.relative_to(ROOT)}: {packages} packages, {len(pinned)} files with their hashes")


def pins(requirements: str) -> set[Pin]:
    """Return the files that a pinned list of requirements accepts."""
    found: set[Pin] = set()
    name = version = ""
    for match in _PINNED.finditer(requirements):
        if match[1]:
            name, version = _normal(match[1]), match[2]
        else:
            found.add((name, version, match[3]))
    return found


def files(document: dict[str, Any]) -> set[Pin]:
    """Return the files that an SBOM lists."""
    return {
        (_normal(component["name"]), component.get("version", ""), found["content"])
        for component in document["components"]
        for reference in component.get("externalReferences", ())
        for found in reference.get("hashes", ())
        if found["alg"] == "SHA-256"
    }


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
