"""The cache of answers: which it keeps, for whom, how long, and what late samples do to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
from starlette.requests import Request
from starlette.responses import Response

from metricat_hub.access.principal import Principal
from metricat_hub.api.answers import Answers, MemoryCache, Window
from metricat_hub.promql import parser
from metricat_hub.promql.reach import reads_ahead
from metricat_hub.use_cases.late_samples import SETTLED, LateSamples

if TYPE_CHECKING:
    from metricat_hub.api.answers import Cache

HOUR = 3_600_000


class Viewer:
    def __init__(self, visibility: str) -> None:
        self.visibility = visibility


class Hub:
    """Answers over a store that returns a new number for each evaluation."""

    def __init__(self, most_bytes: int = 100_000, *, sees_samples: bool = True) -> None:
        self.now = 1_000 * HOUR
        self.evaluations = 0
        self.late = LateSamples(lambda: self.now)
        self.cache = MemoryCache(most_bytes, lambda: self.now)
        self.answers = self.of(self.cache, self.late if sees_samples else None)

    def of(self, cache: Cache | None, late: LateSamples | None) -> Answers:
        return Answers(cache, lambda: self.now, 300_000, late)

    def get(
        self, end: int | None, key: str = "up", visibility: str = "", status: int = 200, size: int = 10, **headers: str
    ) -> Response:
        async def evaluate() -> Response:
            self.evaluations += 1
            body = str(self.evaluations).encode().ljust(size, b" ")
            return Response(body, status, {"X-Metricat-Tier": "1m"}, media_type="application/json")

        given = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/query",
            "headers": given,
            "query_string": b"",
            "server": ("h", 1),
            "state": {"principal": Viewer(visibility)},
        }
        return asyncio.run(self.answers.respond(Request(scope), Window((key,), end), evaluate))

    def body(self, *arguments: Any, **keywords: Any) -> str:
        return bytes(self.get(*arguments, **keywords).body).decode().strip()


def test_finished_window_is_evaluated_once_within_five_minutes() -> None:
    hub = Hub()
    end = hub.now - HOUR
    first = hub.get(end)
    again = hub.get(end)
    assert (first.body, again.body) == (b"1         ", b"1         ")
    assert again.headers["age"] == "0"
    assert again.headers["x-metricat-tier"] == "1m"
    assert again.headers["content-type"] == "application/json"
    hub.now += 299_000
    assert hub.get(end).headers["age"] == "299"
    hub.now += 1_000
    assert hub.body(end) == "2"


def test_present_and_unfinished_windows_are_never_cached() -> None:
    hub = Hub(sees_samples=False)
    for end in (None, hub.now, hub.now + HOUR, hub.now - SETTLED + 1):
        before = hub.evaluations
        hub.get(end)
        hub.get(end)
        assert hub.evaluations == before + 2
    assert hub.body(hub.now - SETTLED) == hub.body(hub.now - SETTLED)


def test_other_parameters_and_other_visibility_have_answers_of_their_own() -> None:
    hub = Hub()
    end = hub.now - HOUR
    found = [hub.body(end), hub.body(end, "down"), hub.body(end, "up", "team-a"), hub.body(end, "up", "team-b")]
    assert found == ["1", "2", "3", "4"]
    assert hub.body(end, "up", "team-a") == "3"


def test_clients_with_other_namespaces_never_share_an_answer() -> None:
    def visibility(*names: str, all_of_them: bool = False) -> str:
        return Principal("a", frozenset(), namespaces=None if all_of_them else frozenset(names)).visibility

    assert visibility("x", "y") == visibility("y", "x")
    distinct = [visibility(all_of_them=True), visibility(), visibility("x"), visibility("x", "y"), visibility("x', 'y")]
    assert len(set(distinct)) == len(distinct)


def test_errors_are_not_cached() -> None:
    hub = Hub()
    end = hub.now - HOUR
    assert [hub.body(end, status=422), hub.body(end)] == ["1", "2"]


def test_late_sample_makes_the_windows_stale_that_include_it_and_no_others() -> None:
    hub = Hub()
    ends = [hub.now - minutes * 60_000 for minutes in (50, 40, 30, 20)]
    assert [hub.body(end) for end in ends] == ["1", "2", "3", "4"]
    hub.late.note(hub.now - 5_000)
    assert [hub.body(end) for end in ends] == ["1", "2", "3", "4"]
    hub.late.note(ends[1])
    assert [hub.body(end) for end in ends] == ["1", "5", "6", "7"]
    hub.late.note(ends[2] + 1)
    assert [hub.body(end) for end in ends] == ["1", "5", "6", "8"]
    assert [hub.body(end) for end in ends] == ["1", "5", "6", "8"]


def test_sample_that_arrives_during_the_evaluation_makes_the_answer_stale() -> None:
    hub = Hub()
    end = hub.now - HOUR

    async def evaluate() -> Response:
        hub.late.note(end)
        return Response(b"old")

    scope = {"type": "http", "method": "GET", "path": "/query", "headers": [], "query_string": b"", "server": ("h", 1)}
    request = Request({**scope, "state": {"principal": Viewer("")}})
    asyncio.run(hub.answers.respond(request, Window(("up",), end), evaluate))
    assert hub.body(end) == "1"


def test_oldest_late_sample_counts_after_many() -> None:
    late = LateSamples(lambda: 10 * HOUR)
    for number in range(30_000):
        late.note(number + 1)
    assert late.reached(0, 1)  # the memory of it is bounded, so the answer is stale to be safe
    assert late.reached(29_999, 30_000)
    assert not late.reached(29_999, 29_999)
    assert not late.reached(30_000, HOUR)
    late.note(5)
    assert late.reached(30_000, 5)
    assert not late.reached(30_000, 4)


def test_answers_about_the_last_hour_are_kept_a_minute_if_other_programs_write_samples() -> None:
    hub = Hub(sees_samples=False)
    recent, old = hub.now - HOUR + 60_000, hub.now - 2 * HOUR
    assert [hub.body(recent), hub.body(old)] == ["1", "2"]
    hub.now += 59_000
    assert [hub.body(recent), hub.body(old)] == ["1", "2"]
    hub.now += 1_000
    assert [hub.body(recent), hub.body(old)] == ["3", "2"]


def test_client_that_has_the_answer_gets_304_without_an_evaluation() -> None:
    hub = Hub()
    end = hub.now - HOUR
    tag = hub.get(end).headers["etag"]
    again = hub.get(end, if_none_match=f'"other", {tag}')
    assert (again.status_code, again.body, again.headers["etag"], hub.evaluations) == (304, b"", tag, 1)
    assert hub.get(end, if_none_match='"other"').status_code == 200
    assert hub.answers.not_modified == 1


def test_client_gets_304_about_the_present_until_a_sample_arrives_or_an_interval_passes() -> None:
    hub = Hub()
    tag = hub.get(None).headers["etag"]
    assert hub.get(None, if_none_match=tag).status_code == 304
    assert hub.get(None, if_none_match=tag, key="down").status_code == 200
    assert hub.get(None, if_none_match=tag, visibility="team-a").status_code == 200
    assert hub.evaluations == 3
    hub.late.note(hub.now)
    changed = hub.get(None, if_none_match=tag)
    assert (changed.status_code, hub.evaluations) == (200, 4)
    hub.now += 10_000
    assert hub.get(None, if_none_match=changed.headers["etag"]).status_code == 200


def test_present_has_no_etag_of_its_own_if_other_programs_write_samples() -> None:
    assert "etag" not in Hub(sees_samples=False).get(None).headers


def test_memory_is_bounded_and_the_least_used_answers_are_dropped_first() -> None:
    hub = Hub(most_bytes=10_000)
    end = hub.now - HOUR
    hub.get(end, "kept")
    for number in range(100):
        hub.get(end, f"query {number}")
        assert hub.cache.bytes <= 10_000
        assert hub.body(end, "kept") == "1"
    assert hub.evaluations == 101
    assert hub.body(end, "query 0") == "102"


def test_cached_answer_is_compressed_and_sent_as_the_client_accepts() -> None:
    hub = Hub()
    end = hub.now - HOUR
    first = hub.get(end, size=5_000)
    plain = hub.get(end)
    assert plain.body == first.body
    assert "content-encoding" not in plain.headers
    packed = hub.get(end, accept_encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert bytes(cramjam.gzip.decompress(packed.body)) == first.body
    assert hub.evaluations == 1


@pytest.mark.parametrize(
    ("query", "ahead"),
    [
        ("rate(up[5m] offset 1h)", False),
        ("sum(up @ 5) + up @ end()", False),
        ("up offset -1s", True),
        ("1 + sum by (job) (-(rate(up[5m] offset -1m)))", True),
        ("max_over_time(up[1h:1m] offset -1m)", True),
        ("up @ 11", True),
        ("topk(scalar(up @ 11), up)", True),
        ("max_over_time((up @ 11)[1h:1m])", True),
        ("rate(up[5m] smoothed)", True),
        ("rate(up[5m] anchored)", False),
    ],
)
def test_query_that_reads_samples_after_its_end_is_recognized(query: str, *, ahead: bool) -> None:
    assert reads_ahead(parser.parse(query), 10_000) is ahead
