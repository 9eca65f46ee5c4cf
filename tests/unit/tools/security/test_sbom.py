"""The check of an SBOM: it lists every file that the pinned requirements accept."""

from typing import Any

import pytest

from metricat_tools.security.sbom import IMAGES, files, pins
from support.paths import ROOT

ONE, OTHER = "a" * 64, "b" * 64
REQUIREMENTS = f"""\
PyYAML==6.0.3 ; python_version < '4' \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{OTHER}
    # via -r agent.in
psycopg[binary]==3.2 \\
    --hash=sha256:{ONE}
"""


def component(name: str, version: str, *hashes: str) -> dict[str, Any]:
    found = [{"alg": "SHA-256", "content": one} for one in hashes]
    return {"name": name, "version": version, "externalReferences": [{"type": "distribution", "hashes": found}]}


def test_pins_of_requirements() -> None:
    assert pins(REQUIREMENTS) == {("pyyaml", "6.0.3", ONE), ("pyyaml", "6.0.3", OTHER), ("psycopg", "3.2", ONE)}


def test_missing_hash_or_package_is_found() -> None:
    whole = [component("PyYAML", "6.0.3", ONE, OTHER), component("psycopg", "3.2", ONE)]
    assert pins(REQUIREMENTS) <= files({"components": whole})
    assert pins(REQUIREMENTS) - files({"components": whole[:1]}) == {("psycopg", "3.2", ONE)}
    assert pins(REQUIREMENTS) - files({"components": [component("pyyaml", "6.0.3", ONE), whole[1]]}) == {
        ("pyyaml", "6.0.3", OTHER)
    }


@pytest.mark.parametrize("image", IMAGES)
def test_every_line_of_the_lists_is_read(image: str) -> None:
    text = (ROOT / "requirements" / f"{image}.txt").read_text()
    found = pins(text)
    assert len({(name, version) for name, version, _ in found}) == sum("==" in line for line in text.splitlines())
    assert len({sha for _, _, sha in found}) == len(set(text.split("--hash=sha256:")[1:]))
