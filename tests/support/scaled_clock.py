"""Run a program whose wall clock is faster than the real one, so that an hour of samples takes a minute.

``python -m support.scaled_clock RATE ORIGIN MODULE ARGUMENT...``: from the real time ORIGIN (seconds since 1970) on,
RATE seconds pass in each real second. All programs with the same RATE and ORIGIN have the same time, also after a
restart. Timers and timeouts stay in real time.
"""

from __future__ import annotations

import runpy
import sys
import time


def scaled(rate: float, origin: float, real: float) -> float:
    """Return the time of the faster clock, in seconds since 1970."""
    return origin + (real - origin) * rate


def main() -> None:
    """Replace the functions that return the wall-clock time, then run the module."""
    rate, origin, module = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    real = time.time
    time.time = lambda: scaled(rate, origin, real())
    time.time_ns = lambda: int(scaled(rate, origin, real()) * 1e9)
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
