"""Each target becomes exactly the manifests beside it; `make generate` writes them, a person reads the difference."""

from pathlib import Path

import pytest
import yaml

from metricat_tools.generate import golden

CASES = golden.cases(Path(__file__).parent)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_target_becomes_its_manifests(case: Path) -> None:
    assert (case / "manifests.yaml").read_text() == golden.text(case)


def test_every_manifest_is_owned_and_labelled() -> None:
    for case in CASES:
        for manifest in yaml.safe_load_all((case / "manifests.yaml").read_text()):
            metadata = manifest["metadata"]
            assert [owner["uid"] for owner in metadata["ownerReferences"]] == [golden.UID]
            assert metadata["labels"]["metricat.dev/target"]
            assert len(metadata["name"]) <= 63
