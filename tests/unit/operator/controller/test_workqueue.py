"""The queue coalesces changes, never runs a key twice at the same time, and retries failed keys.

The event loop's time is faked.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from metricat_operator.controller.workqueue import WorkQueue


class FakeTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        select = self._selector.select  # type: ignore[attr-defined] # asyncio gives no public place for this

        def jump(timeout: float | None = None) -> Any:
            if timeout:
                self.now += timeout
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined] # as above

    def time(self) -> float:
        return self.now


def run(test: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=FakeTime) as runner:
        runner.run(test())  # type: ignore[arg-type] # an async function's awaitable is a coroutine


async def working(queue: WorkQueue[str], seconds: float, workers: int = 2) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await queue.run(workers)


def now() -> float:
    return asyncio.get_running_loop().time()


def never(key: str, error: Exception, delay: float) -> None:
    raise AssertionError((key, error, delay))


def test_many_changes_become_one_run() -> None:
    async def test() -> None:
        runs: list[str] = []

        async def work(key: str) -> None:
            runs.append(key)

        queue = WorkQueue(work, never)
        for _ in range(100):
            queue.add("a")
        queue.add("b", 5)
        queue.add("b", 1)
        await working(queue, 10)
        assert runs == ["a", "b"]

    run(test)


def test_key_runs_once_at_a_time_and_no_change_is_lost() -> None:
    async def test() -> None:
        spans: list[tuple[float, float]] = []

        async def work(key: str) -> None:
            began = now()
            if not spans:
                queue.add(key)  # it changes while it is worked on
            await asyncio.sleep(3)
            spans.append((began, now()))

        queue = WorkQueue(work, never)
        queue.add("a")
        await working(queue, 20)
        assert spans == [(0, 3), (3, 6)]

    run(test)


def test_workers_do_not_exceed_the_limit() -> None:
    async def test() -> None:
        at_once: list[int] = []
        running = 0

        async def work(_: str) -> None:
            nonlocal running
            running += 1
            at_once.append(running)
            await asyncio.sleep(1)
            running -= 1

        queue = WorkQueue(work, never)
        for number in range(9):
            queue.add(str(number))
        await working(queue, 20, workers=3)
        assert len(at_once) == 9
        assert max(at_once) == 3

    run(test)


def test_failed_key_is_retried_with_growing_delay_and_others_continue() -> None:
    async def test() -> None:
        times: list[float] = []
        reported: list[str] = []
        others: list[float] = []

        async def work(key: str) -> float | None:
            if key == "good":
                others.append(now())
                return 10
            times.append(now())
            raise ValueError("bad")

        queue = WorkQueue(work, lambda key, error, delay: reported.append(f"{key} {error} {delay > 0}"))
        queue.add("bad")
        queue.add("good")
        await working(queue, 100_000)
        assert len(times) > 1100  # more failures than a float has powers of two
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        ceilings = [1, 2, 4, 8, 10, 10]
        assert all(most / 2 <= gap <= most for gap, most in zip(gaps, ceilings, strict=False))
        assert max(gaps) <= 60
        assert reported[0] == "bad bad True"
        assert others == pytest.approx([10.0 * number for number in range(len(others))])
        assert len(others) >= 99

    run(test)


@pytest.mark.parametrize("steps", range(6))
def test_queue_ends_when_it_is_cancelled_while_a_key_is_added(steps: int) -> None:
    """`steps` is the number of turns of the event loop between both."""

    async def test() -> None:
        async def work(_: str) -> float | None:
            return 5

        queue = WorkQueue(work, lambda *_: None)
        queue.add("timed")
        running = asyncio.create_task(queue.run(2))
        await asyncio.sleep(1)
        queue.add("new")
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running], timeout=1)
        assert running.cancelled()

    run(test)
