"""A job in steps, with a line for each step and its duration."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_WIDTH = 68


class Steps:
    """Prints a line for each finished step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, output: Callable[[str], None] = print) -> None:
        self._clock, self._output = clock, output
        self._started = clock()

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Measure the time of the block. If the block fails, print that and raise its error."""
        started = self._clock()
        try:
            yield
        except BaseException:
            self.line(label, f"failed after {self._clock() - started:.1f} s")
            raise
        self.line(label, f"{self._clock() - started:.1f} s")

    def line(self, label: str, ending: str) -> None:
        """Print one line, with the ending at the right."""
        self._output(f"  {label} {'.' * max(2, _WIDTH - len(label) - len(ending))} {ending}")

    @property
    def total(self) -> float:
        """Seconds since the steps began."""
        return self._clock() - self._started
