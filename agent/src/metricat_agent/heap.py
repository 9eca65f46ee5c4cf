"""Keeps the memory of a program that does the same for months from growing, though it holds nothing longer.

Python keeps what it freed for later: up to 2,000 tuples of each of twenty lengths, some MiB, where a scrape frees other
lengths than it takes; only a full collection of garbage gives them back. glibc keeps what threads freed apart for each,
and in shreds. Both are tidied after every hundredth answer, when nobody waits for one: it takes a quarter of a
millisecond.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from itertools import count

_EVERY = 100
_GARBAGE = 20_000
"""Objects between collections that begin of themselves: more than a hundred scrapes leave."""
_ARENA_MAX = -8
"""M_ARENA_MAX of ``<malloc.h>``."""


class HeapTuner:
    """What is tidied between answers. Threads may share it."""

    def __init__(self) -> None:
        """Begin when all is imported and made: that stays, and is not looked at again at every collection."""
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._trim = getattr(library, "malloc_trim", None)  # glibc alone has it
        if library is not None and self._trim is not None:
            library.mallopt(_ARENA_MAX, 1)  # one heap for all threads: they take turns anyway
        self._answers = count(1)

    def after_response(self) -> None:
        """Note that an answer is out; give back what is kept without need if it is time."""
        if next(self._answers) % _EVERY == 0:
            gc.collect()
            if self._trim is not None:
                self._trim(0)
