"""What surrounds requests, as the settings require it: logs, rate limits, the cache of answers, and Redis."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from metricat_hub.access import audit
from metricat_hub.access.line_log import LineLog
from metricat_hub.access.rate_limit import Counter, MemoryCounter, Policy, RedisCounter
from metricat_hub.access.redis_connection import RedisConnection
from metricat_hub.api.access_log import AccessLog
from metricat_hub.api.rate_limits import RateLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.config.requests import RequestSettings


class RequestParts:
    """The parts, opened."""

    def __init__(self, settings: RequestSettings, now: Callable[[], int]) -> None:
        """Open the logs; `now` returns milliseconds.

        Raises:
            LogFileError: the file of a log cannot be opened.
        """
        self._logs: list[LineLog] = []
        with contextlib.ExitStack() as opened:
            audit_log = self._log("audit", settings.audit_file, opened)
            self.access_log: AccessLog | None = None
            if settings.access_log:
                self.access_log = AccessLog(self._log("access", settings.access_file, opened).write, settings.mask)
            self.redis = RedisConnection(settings.redis_url) if settings.redis_url else None
            counter: Counter = MemoryCounter(now)
            if self.redis:
                counter = RedisCounter(self.redis, counter)
            self.rate_limits = RateLimits(
                counter,
                keys=Policy("keys", settings.keys_per_hour, 3_600),
                users=Policy("users", settings.users_per_hour, 3_600),
                writes=Policy("writes", settings.writes_per_minute, 60),
                scrapes=Policy("scrapes", settings.scrapes_per_hour, 3_600),
            )
            audit.configure(audit_log.write)
            opened.callback(audit.configure, None)
            self._opened = opened.pop_all()

    def _log(self, name: str, path: str, opened: contextlib.ExitStack) -> LineLog:
        log = opened.enter_context(LineLog(name, path))
        self._logs.append(log)
        return log

    def degradations(self) -> Sequence[str]:
        """Return what does not work now, while the hub can do its work without it."""
        found = [log.problem for log in self._logs if log.problem]
        return [*found, self.redis.problem] if self.redis and self.redis.problem else found

    def close(self) -> None:
        """Close the logs."""
        self._opened.close()
