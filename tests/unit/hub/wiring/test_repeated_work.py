"""Work that the hub repeats, with unexpected errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.wiring.repeated_work import repeated

if TYPE_CHECKING:
    import pytest


class Work:
    def __init__(self) -> None:
        self.done: list[int] = []

    @repeated
    def run(self, number: int) -> None:
        """Fail for an even number."""
        if number % 2 == 0:
            raise KeyError(number)
        self.done.append(number)


def test_unexpected_error_is_logged_and_later_work_continues(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    for number in (1, 2, 3):
        work.run(number)
    assert work.done == [1, 3]
    [record] = caplog.records
    assert record.getMessage() == "Work.run failed unexpectedly; the hub calls it again"
    assert record.exc_info
    assert Work.run.__doc__ == "Fail for an even number."
