"""Builds the parts of request handling from the settings: logs, rate limits, response cache and Redis."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from metricat_hub.access import audit
from metricat_hub.access.line_log import LineLog
from metricat_hub.access.rate_limit import Counter, MemoryCounter, Policy, RedisCounter
from metricat_hub.access.redis_connection import RedisConnection
from metricat_hub.api.access_log import AccessLog
from metricat_hub.api.answers import Answers, Cache, MemoryCache, RedisCache
from metricat_hub.api.connection import ConnectionLimits
from metricat_hub.api.rate_limits import RateLimits
from metricat_hub.model.self_metrics import Sample
from metricat_hub.use_cases.late_samples import LateSamples, WatchedWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.config.settings import Settings
    from metricat_hub.model.ports import Writer


class RequestParts:
    """The opened parts of request handling."""

    def __init__(self, settings: Settings, now: Callable[[], int]) -> None:
        """Open the logs; `now` returns milliseconds.

        Raises:
            LogFileError: the file of a log cannot be opened.
        """
        requests = settings.requests
        is_embedded = settings.store_url.kind == "embedded"
        self._logs: list[LineLog] = []
        self._late = LateSamples(now)
        with contextlib.ExitStack() as opened:
            audit_log = self._log("audit", requests.audit_file, opened)
            self.access_log: AccessLog | None = None
            if requests.access_log:
                self.access_log = AccessLog(self._log("access", requests.access_file, opened).write, requests.mask)
            self.redis = RedisConnection(requests.redis_url) if requests.redis_url else None
            counter: Counter = MemoryCounter(now)
            if self.redis:
                counter = RedisCounter(self.redis, counter)
            self.rate_limits = RateLimits(
                counter,
                keys=Policy("keys", requests.keys_per_hour, 3_600),
                users=Policy("users", requests.users_per_hour, 3_600),
                writes=Policy("writes", requests.writes_per_minute, 60),
                scrapes=Policy("scrapes", requests.scrapes_per_hour, 3_600),
            )
            cache: Cache | None = MemoryCache(requests.cache_bytes, now) if requests.cache_bytes else None
            if cache and self.redis:
                cache = RedisCache(self.redis, cache, _namespace(settings, is_embedded=is_embedded))
            self.answers = Answers(
                cache, now, requests.cache_milliseconds, self._late if is_embedded else None, settings.interval
            )
            self.connections = ConnectionLimits(requests.connections, unsent_bytes=settings.query.memory // 2)
            audit.configure(audit_log.write)
            opened.callback(audit.configure, None)
            self._opened = opened.pop_all()

    def _log(self, name: str, path: str, opened: contextlib.ExitStack) -> LineLog:
        log = opened.enter_context(LineLog(name, path))
        self._logs.append(log)
        return log

    def watched(self, writer: Writer) -> Writer:
        """Return a writer that invalidates cached responses which its samples change."""
        return WatchedWriter(writer, self._late)

    def degradations(self) -> Sequence[str]:
        """Return the current problems of logs and Redis, which do not stop the hub."""
        found = [log.problem for log in self._logs if log.problem]
        return [*found, self.redis.problem] if self.redis and self.redis.problem else found

    def samples(self) -> Sequence[Sample]:
        """Return the counters as metrics of the hub."""
        answers = self.answers
        text = "Responses to cacheable queries by result: cached, evaluated, or not_modified (304)."
        found = [
            Sample("metricat_hub_answers", text, count, is_counter=True, labels={"result": result})
            for result, count in (
                ("cached", answers.hits),
                ("evaluated", answers.misses),
                ("not_modified", answers.not_modified),
            )
        ]
        found.append(Sample("metricat_hub_http_connections", "Open connections.", self.connections.open.total()))
        text = "Connections that the hub closed because of a limit, by limit."
        for reason, count in self.connections.refused.items():
            labels = {"reason": reason}
            found.append(Sample("metricat_hub_http_refused_connections", text, count, is_counter=True, labels=labels))
        text = "Lost entries of logs, because the disk was full or too slow."
        for log in self._logs:
            labels = {"log": log.name}
            found.append(Sample("metricat_hub_log_dropped", text, log.dropped, is_counter=True, labels=labels))
        return found

    def close(self) -> None:
        """Close the logs."""
        self._opened.close()


def _namespace(settings: Settings, *, is_embedded: bool) -> str:
    """Return a text that only hubs with the same samples have; an embedded store belongs to one run of one hub."""
    if is_embedded:
        return os.urandom(8).hex()
    return hashlib.blake2b(settings.store_url.url.encode(), digest_size=8).hexdigest()
