"""A job in steps: each says what it was and how long it took, in a line of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_WIDTH = 68


class Steps:
    """Prints a line for each step that is done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = print) -> None:
        self._clock, self._say = clock, say
        self._started = clock()

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Time what is done inside; a step that fails says so before its error goes on."""
        started = self._clock()
        try:
            yield
        except BaseException:
            self.line(label, f"failed after {self._clock() - started:.1f} s")
            raise
        self.line(label, f"{self._clock() - started:.1f} s")

    def line(self, label: str, ending: str) -> None:
        """One line, its ending at the right."""
        self._say(f"  {label} {'.' * max(2, _WIDTH - len(label) - len(ending))} {ending}")

    @property
    def total(self) -> float:
        """Seconds since the first step."""
        return self._clock() - self._started
