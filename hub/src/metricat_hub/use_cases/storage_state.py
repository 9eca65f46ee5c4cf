"""The interface for the state of the store and the outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Reader
    from metricat_hub.remote.delivery import DeliveryState

_HOUR = 3_600_000


class StorageState:
    """The state of a store without buffer and outputs."""

    def notices(self) -> Sequence[str]:
        """Return the problems that do not stop the hub, each with its remedy."""
        return ()

    def buffer(self) -> DeliveryState | None:
        """Return the state of the buffer before the store; None if it has none."""
        return None

    def outputs(self) -> Sequence[tuple[str, str, DeliveryState]]:
        """Return name, URL and state of each output."""
        return ()

    def count_series(self, store: Reader, now: int) -> int:
        """Return the number of series that received samples in the hour before `now` (milliseconds)."""
        return len(store.series([[]], now - _HOUR, now))
