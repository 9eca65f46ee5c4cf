"""Synchronization of the node's clock, from adjtimex(2). Called with mode 0, it changes nothing."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, counter, gauge, single

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMAT = struct.Struct("@I llll i lll ll lll i lllll i 11i")
_STA_NANO = 0x2000
_TIME_ERROR = 5
_PPM = 65536 * 1_000_000
"""Frequencies are in parts per million, with 16 fractional bits."""


def _timex(name: str, text: str) -> Family:
    return (counter if name.endswith("_total") else gauge)(f"node_timex_{name}", text)


OFFSET = _timex("offset_seconds", "Offset of the node's clock from its reference, in seconds.")
FREQUENCY = _timex("frequency_adjustment_ratio", "Frequency adjustment of the node's clock; 1 means no adjustment.")
MAX_ERROR = _timex("maxerror_seconds", "Maximum error of the clock, in seconds.")
ESTIMATED_ERROR = _timex("estimated_error_seconds", "Estimated error of the clock, in seconds.")
STATUS = _timex("status", "Status of the clock: a bit mask of the STA_* flags in man 2 adjtimex.")
CONSTANT = _timex(
    "loop_time_constant",
    "Time constant of the phase-locked loop that adjusts the clock; a larger one adjusts more slowly.",
)
TICK = _timex("tick_seconds", "Time between ticks of the clock, in seconds.")
PPS_FREQUENCY = _timex("pps_frequency_hertz", "Frequency of the pulse-per-second signal (PPS), in hertz.")
PPS_JITTER = _timex("pps_jitter_seconds", "Jitter of the pulse-per-second signal (PPS), in seconds.")
PPS_SHIFT = _timex(
    "pps_shift_seconds", "Duration of the calibration interval of the pulse-per-second signal (PPS), in seconds."
)
PPS_STABILITY = _timex("pps_stability_hertz", "Stability of the pulse-per-second signal (PPS), in hertz.")
PPS_JITTERS = _timex(
    "pps_jitter_total", "Times that the jitter of the pulse-per-second signal (PPS) exceeded its limit."
)
PPS_CALIBRATIONS = _timex("pps_calibration_total", "Calibration intervals of the pulse-per-second signal (PPS).")
PPS_ERRORS = _timex("pps_error_total", "Calibration errors of the pulse-per-second signal (PPS).")
PPS_EXCEEDED = _timex(
    "pps_stability_exceeded_total", "Times that the stability of the pulse-per-second signal (PPS) exceeded its limit."
)
TAI = _timex("tai_offset_seconds", "Offset of International Atomic Time (TAI) from UTC, in seconds.")
SYNC = _timex("sync_status", "1 if the clock is synchronized to a reference, 0 if not.")
FAMILIES = (
    *(OFFSET, FREQUENCY, MAX_ERROR, ESTIMATED_ERROR, STATUS, CONSTANT, TICK, PPS_FREQUENCY, PPS_JITTER, PPS_SHIFT),
    *(PPS_STABILITY, PPS_JITTERS, PPS_CALIBRATIONS, PPS_ERRORS, PPS_EXCEEDED, TAI, SYNC),
)


@dataclass(frozen=True, slots=True)
class Clock:
    """Result of adjtimex(2): its state, and the struct as bytes."""

    state: int
    timex: bytes


def reader() -> Callable[[], Clock]:
    """Return a function that calls adjtimex(2) and raises OSError if the sandbox forbids the call."""
    import ctypes  # noqa: PLC0415 -- needed by this collector only

    adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    buffer = ctypes.create_string_buffer(_FORMAT.size)

    def read() -> Clock:
        ctypes.memset(buffer, 0, _FORMAT.size)  # mode 0: change nothing
        state = adjtimex(buffer)
        if state < 0:
            raise OSError(
                ctypes.get_errno(),
                "adjtimex(2) is refused; allow it in the seccomp profile, or pass --no-collector.timex",
            )
        return Clock(state, buffer.raw)

    return read


def parse(clock: Clock) -> Metrics:
    """Return every field of the struct. Convert the kernel's units (``man 2 adjtimex``) to seconds."""
    fields = _FORMAT.unpack(clock.timex)
    _, offset, frequency, max_error, error, status, constant = fields[:7]
    tick, pps_frequency, jitter, shift, stability, jitters, calibrations, errors, exceeded, tai = fields[11:21]
    fraction = 1_000_000_000 if status & _STA_NANO else 1_000_000
    values = (
        *(offset / fraction, 1 + frequency / _PPM, max_error / 1_000_000, error / 1_000_000, status, constant),
        *(tick / 1_000_000, pps_frequency / _PPM, jitter / fraction, shift, stability / _PPM),
        *(jitters, calibrations, errors, exceeded, tai, int(clock.state != _TIME_ERROR)),
    )
    return [single(family, value) for family, value in zip(FAMILIES, values, strict=True)]


class Timex(Collector):
    """Offset, error and synchronization of the node's clock."""

    name = "timex"
    summary = "offset, error and reference of the node's clock"
    families = FAMILIES

    def setup(self) -> None:
        """Look up adjtimex(2) once, not at every scrape."""
        self._read = reader()

    def collect(self) -> Metrics:
        """Return offset, error and synchronization of the node's clock from adjtimex(2)."""
        return parse(self._read())
