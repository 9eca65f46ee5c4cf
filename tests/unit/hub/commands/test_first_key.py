"""What the hub prints about the first access."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from metricat_hub.commands.first_key import first_access

if TYPE_CHECKING:
    from pathlib import Path

KEY, TOKEN = "metricat_the-key", "the-setup-token"


def hub(first_key_file: str, *, is_loopback: bool, kubernetes: bool) -> Any:
    settings = SimpleNamespace(
        first_key_file=first_key_file, is_loopback=is_loopback, kubernetes=kubernetes, external_url=""
    )
    accounts = SimpleNamespace(
        keys=SimpleNamespace(all=list), users=SimpleNamespace(start_setup=lambda: TOKEN, all=list)
    )
    return cast("Any", SimpleNamespace(settings=settings, accounts=accounts, first_key=lambda: KEY, url="http://hub"))


@pytest.mark.parametrize("is_loopback", [True, False])
@pytest.mark.parametrize("kubernetes", [True, False])
def test_nothing_secret_is_printed_with_a_file_or_in_a_cluster(
    tmp_path: Path, *, is_loopback: bool, kubernetes: bool
) -> None:
    file = tmp_path / "key"
    printed = "\n".join(first_access(hub(str(file), is_loopback=is_loopback, kubernetes=kubernetes)))
    assert KEY not in printed
    assert TOKEN not in printed
    assert file.exists() is not kubernetes
    if kubernetes:
        assert first_access(hub("", is_loopback=is_loopback, kubernetes=True)) == []


def test_key_or_setup_is_printed_without_a_file() -> None:
    assert KEY in "\n".join(first_access(hub("", is_loopback=True, kubernetes=False)))
    printed = "\n".join(first_access(hub("", is_loopback=False, kubernetes=False)))
    assert TOKEN in printed
    assert KEY not in printed
