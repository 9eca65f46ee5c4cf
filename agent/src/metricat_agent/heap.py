"""Release of freed memory to the system, so that a process that runs for months does not grow.

Python keeps freed tuples for reuse: up to 2,000 of each of twenty lengths, some MiB. A scrape frees other lengths than
it allocates, and only a full garbage collection releases them. glibc keeps freed memory per thread, in fragments. Both
are released after every hundredth response has been sent. That takes a quarter of a millisecond. See
docs/design/0015-what-a-scrape-costs.md.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from itertools import count

_EVERY = 100
_GARBAGE = 20_000
"""Number of new objects that triggers a garbage collection. A hundred scrapes leave fewer objects behind."""
_ARENA_MAX = -8
"""M_ARENA_MAX of ``<malloc.h>``."""


class HeapTuner:
    """Releases memory between responses. Threads may share it."""

    def __init__(self) -> None:
        """Exclude all objects that exist now from later garbage collections: create this after startup."""
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._trim = getattr(library, "malloc_trim", None)  # only glibc has it
        if library is not None and self._trim is not None:
            library.mallopt(_ARENA_MAX, 1)  # one heap for all threads: the interpreter runs one at a time
        self._responses = count(1)

    def after_response(self) -> None:
        """Count a response; release memory after every hundredth."""
        if next(self._responses) % _EVERY == 0:
            gc.collect()
            if self._trim is not None:
                self._trim(0)
