"""How well the node's clock is kept, from adjtimex(2), which changes nothing when asked with no mode."""

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
"""Frequencies are in millionths, with 16 bits after the point."""


def _timex(name: str, text: str) -> Family:
    return (counter if name.endswith("_total") else gauge)(f"node_timex_{name}", text)


OFFSET = _timex("offset_seconds", "Time between the node's clock and its reference, in seconds.")
FREQUENCY = _timex("frequency_adjustment_ratio", "Speed of the node's clock as it is set, 1 as it comes.")
MAX_ERROR = _timex("maxerror_seconds", "Greatest error that the clock may have, in seconds.")
ESTIMATED_ERROR = _timex("estimated_error_seconds", "Error that the clock is thought to have, in seconds.")
STATUS = _timex("status", "Bits of the clock's status (STA_*).")
CONSTANT = _timex("loop_time_constant", "Time constant of the loop that sets the clock.")
TICK = _timex("tick_seconds", "Time between ticks of the clock, in seconds.")
PPS_FREQUENCY = _timex("pps_frequency_hertz", "Frequency of the pulse per second.")
PPS_JITTER = _timex("pps_jitter_seconds", "Jitter of the pulse per second, in seconds.")
PPS_SHIFT = _timex("pps_shift_seconds", "Length of the intervals in which the pulse is measured.")
PPS_STABILITY = _timex("pps_stability_hertz", "Stability of the pulse per second.")
PPS_JITTERS = _timex("pps_jitter_total", "Times the jitter of the pulse was above its limit.")
PPS_CALIBRATIONS = _timex("pps_calibration_total", "Intervals in which the pulse was measured.")
PPS_ERRORS = _timex("pps_error_total", "Measurements of the pulse that failed.")
PPS_EXCEEDED = _timex("pps_stability_exceeded_total", "Times the stability of the pulse was above its limit.")
TAI = _timex("tai_offset_seconds", "Time between TAI and UTC, in seconds.")
SYNC = _timex("sync_status", "1 if the clock is set by a reference, else 0.")
FAMILIES = (
    *(OFFSET, FREQUENCY, MAX_ERROR, ESTIMATED_ERROR, STATUS, CONSTANT, TICK, PPS_FREQUENCY, PPS_JITTER, PPS_SHIFT),
    *(PPS_STABILITY, PPS_JITTERS, PPS_CALIBRATIONS, PPS_ERRORS, PPS_EXCEEDED, TAI, SYNC),
)


@dataclass(frozen=True, slots=True)
class Clock:
    """What adjtimex(2) returns: its state, and the struct as bytes."""

    state: int
    timex: bytes


def reader() -> Callable[[], Clock]:
    """Return what asks the kernel; it raises OSError where the sandbox forbids even to ask."""
    import ctypes  # noqa: PLC0415 -- for this collector alone

    adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    buffer = ctypes.create_string_buffer(_FORMAT.size)

    def read() -> Clock:
        ctypes.memset(buffer, 0, _FORMAT.size)  # the mode among them: nothing is changed
        state = adjtimex(buffer)
        if state < 0:
            raise OSError(ctypes.get_errno(), "adjtimex(2) is refused")
        return Clock(state, buffer.raw)

    return read


def parse(clock: Clock) -> Metrics:
    """Turn the kernel's units (``man 2 adjtimex``) into seconds."""
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
    """Whether the node's clock is right."""

    name = "timex"
    summary = "offset, error and reference of the node's clock"
    families = FAMILIES

    def setup(self) -> None:
        """Find the call once."""
        self._read = reader()

    def collect(self) -> Metrics:
        """Ask and parse."""
        return parse(self._read())
