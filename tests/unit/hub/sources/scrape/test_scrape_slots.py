"""Scrapes of a short time share one submission, and each gets its own result."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from metricat_hub.sources.scrape import scrape_slots
from metricat_hub.sources.scrape.scrape_slots import ScrapeSlots


class CountingExecutor(ThreadPoolExecutor):
    """A pool that counts the submissions."""

    submissions = 0

    def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
        self.submissions += 1
        return super().submit(*arguments, **named)


def fail() -> None:
    raise RuntimeError("a bug")


def test_scrapes_of_a_slot_are_one_submission() -> None:
    done: list[int] = []

    async def run() -> int:
        with CountingExecutor(1) as executor:
            slots = ScrapeSlots(executor, 0.01)
            futures = [slots.submit(partial(done.append, number)) for number in range(3)]
            await asyncio.gather(*map(asyncio.wrap_future, futures))
            return executor.submissions

    assert asyncio.run(run()) == 1
    assert done == [0, 1, 2]


def test_full_slot_does_not_wait() -> None:
    async def run() -> int:
        with CountingExecutor(1) as executor:
            slots = ScrapeSlots(executor, 3600)
            futures = [slots.submit(lambda: None) for _ in range(2 * scrape_slots._MOST)]
            await asyncio.gather(*map(asyncio.wrap_future, futures))
            return executor.submissions

    assert asyncio.run(run()) == 2


def test_error_of_a_scrape_leaves_the_others_of_its_slot() -> None:
    done: list[int] = []

    async def run() -> None:
        with CountingExecutor(1) as executor:
            slots = ScrapeSlots(executor, 0.01)
            failing, other = slots.submit(fail), slots.submit(lambda: done.append(1))
            with pytest.raises(RuntimeError, match="a bug"):
                await asyncio.wrap_future(failing)
            await asyncio.wrap_future(other)

    asyncio.run(run())
    assert done == [1]


def test_flush_runs_the_waiting_scrapes_at_once() -> None:
    async def run() -> None:
        with CountingExecutor(1) as executor:
            slots = ScrapeSlots(executor, 3600)
            future = slots.submit(lambda: None)
            slots.flush()
            await asyncio.wrap_future(future)
            slots.flush()
            assert executor.submissions == 1

    asyncio.run(run())
