"""Outages: the start and the last error of an operation that fails repeatedly, logged when it starts and ends."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

_EXPIRY_SECONDS = 90.0
"""Longer than every delay and timeout of a retried operation together."""


@dataclass
class Outage:
    """The failures in a row of one operation that is retried until it succeeds."""

    operation: str
    """Verb and object, after "cannot": `list or watch Node`."""
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    _since: float = 0.0
    _latest: float = 0.0
    _error: str = ""
    _logged: Mapping[str, object] | None = None

    def failed(self, error: str, *, expected: bool = False, **about: object) -> None:
        """Record a failure. Log the first one, unless it is expected, and later ones that have other attributes."""
        now = self.clock()
        if not self.failures or now - self._latest > _EXPIRY_SECONDS:
            self.failures, self._since, self._logged = 0, now, None
        self.failures += 1
        self._latest = now
        self._error = error
        if about != self._logged and not (expected and self.failures == 1):
            log.warning("operation fails; retrying until it succeeds", operation=self.operation, error=error, **about)
            self._logged = about

    def ended(self) -> None:
        """Record a success."""
        if self._logged is not None:
            log.info("operation succeeds again", operation=self.operation, failures=self.failures)
        self.failures, self._logged = 0, None

    def lasting(self, seconds: float) -> str:
        """Return the operation and its last error if it has failed for at least `seconds`, otherwise an empty text.

        Without a failure for some time, the operation is not retried any longer: a standby writes nothing.
        """
        now = self.clock()
        lasts = self.failures and now - self._since >= seconds and now - self._latest <= _EXPIRY_SECONDS
        return f"cannot {self.operation}: {self._error}" if lasts else ""
