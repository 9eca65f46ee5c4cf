"""Threads that end promptly when the thread that waits for them is interrupted."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def stoppable(count: int, stop: Callable[[], None]) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads. At an error or an interrupt, cancel waiting tasks, and call `stop` to end running ones.

    A ThreadPoolExecutor alone waits for all its tasks, also those that have not started, however long they take.
    """
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop()
        raise
    finally:
        pool.shutdown()
