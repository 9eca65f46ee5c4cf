"""Users and passwords in URLs do not reach a log."""

import pytest

from metricat_agent.config.masking import without_users


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("--push.url=https://ada:secret@hub/write: no", "--push.url=https://***@hub/write: no"),
        ("https://ada:se@cret@hub", "https://***@hub"),
        ("https://ada:se/cret@hub", "https://***@hub"),
        ("https://ada:se#cret@hub has a fragment", "https://***@hub has a fragment"),
        ("postgresql://ada:se?cret@db, redis://:secret@cache", "postgresql://***@db, redis://***@cache"),
        ("https://hub/write of ada@example.com", "https://hub/write of ada@example.com"),
    ],
)
def test_everything_before_the_last_at_is_masked(text: str, masked: str) -> None:
    assert without_users(text) == masked
