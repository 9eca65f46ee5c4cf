"""Accounts in a temporary directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.accounts import Clock, new_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.access.parts import Accounts


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, time: Clock) -> Iterator[Accounts]:
    with new_accounts(tmp_path, time) as found:
        yield found
