"""Long steps: run a command with its output in a file, and print the elapsed time."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from metricat_tools.binaries import cache
from metricat_tools.errors import ToolError

_QUIET, _LINE_EVERY, _TAIL = 1.0, 15.0, 15
_NOTHING_FITS = 1 << 20
_GRACE = 5.0
"""Seconds that a stopped command has to end after SIGTERM."""


class Ticker:
    """Prints to stderr that a step is running: in place on a terminal, otherwise one line every 15 s."""

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._label, self._clock = label, clock
        self._started = clock()
        self._next = self._started + _QUIET
        self._shown = False

    def tick(self) -> None:
        """Print the elapsed seconds if the next line is due."""
        now = self._clock()
        if now < self._next:
            return
        in_place = sys.stderr.isatty()
        self._show("\r\033[K" if in_place else "", "" if in_place else "\n")
        self._next = now + (1.0 if in_place else _LINE_EVERY)

    def done(self, ending: str = "done") -> None:
        """End the line if one was printed."""
        if self._shown:
            self._show("\r\033[K" if sys.stderr.isatty() else "", f" {ending}\n")

    def _show(self, before: str, after: str) -> None:
        print(
            f"{before}{self._label} ... {self._clock() - self._started:.0f} s", end=after, file=sys.stderr, flush=True
        )
        self._shown = True


def run(  # noqa: PLR0913 - keyword arguments
    label: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    explain: Callable[[str], ToolError | None] = lambda _: None,
) -> None:
    """Run a command and show progress. Its output goes to `log`; an error contains the end of that file.

    `explain` may convert the output of a failed command to a better error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    ticker = Ticker(label)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while True:
                try:
                    status = process.wait(timeout=0.25)
                    break
                except subprocess.TimeoutExpired:
                    ticker.tick()
        except BaseException:
            _end(process)
            ticker.done("stopped")
            raise
    ticker.done("done" if status == 0 else "failed")
    if status != 0:
        text = log.read_text(errors="replace")
        if not text and shutil.disk_usage(log.parent).free < _NOTHING_FITS:
            raise cache.disk_full()
        raise explain(text) or ToolError(f"{label} failed; the end of {log} is:\n{tail(text)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process: first with SIGTERM, so that it removes its temporary files, then with SIGKILL."""
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(text: str, lines: int = _TAIL) -> str:
    """Return the last lines of an output, indented."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-lines:])
