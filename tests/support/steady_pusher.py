"""A client that pushes samples to a hub by remote write, again until each is acknowledged."""

from __future__ import annotations

import threading
import time
import urllib.error
from typing import TYPE_CHECKING

from support.hub_process import send
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Callable

SERIES = 5
Expected = dict[str, list[tuple[int, float]]]


def check_stored(read: Callable[[], Expected], expected: Expected, seconds: float = 60) -> None:
    """Wait until a server shows the expected samples; fail with what is lost and doubled."""
    deadline = time.monotonic() + seconds
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    lost = {node: sorted(set(points) - set(found.get(node, [])))[:5] for node, points in expected.items()}
    doubled = {node: len(points) - len(set(points)) for node, points in found.items()}
    counts = {node: len(points) for node, points in found.items()}, {node: len(one) for node, one in expected.items()}
    assert found == expected, f"lost {lost}, doubled {doubled}, counts {counts}"


class SteadyPusher:
    """Pushes a round of samples every few milliseconds, in a thread. The address of the hub may change."""

    def __init__(self, address: Callable[[], tuple[str, dict[str, str]]], begin: int) -> None:
        """`address` returns URL and headers; `begin` is the time of the first round in milliseconds."""
        self._address = address
        self._begin = begin
        self._stop = threading.Event()
        self.rounds = 0
        """Acknowledged rounds."""
        self.refusals: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def expected(self) -> Expected:
        """Return the acknowledged samples by the label `node`."""
        return {
            f"n{number}": [(self._begin + at * 20, float(at * 10 + number)) for at in range(self.rounds)]
            for number in range(SERIES)
        }

    def _run(self) -> None:
        while not self._stop.is_set():
            at = self.rounds
            body = request_1(
                [
                    Sent(
                        [("__name__", "pushed"), ("node", f"n{number}")],
                        [(self._begin + at * 20, float(at * 10 + number))],
                    )
                    for number in range(SERIES)
                ]
            )
            url, headers = self._address()
            try:
                response = send(
                    f"{url}/api/v1/write",
                    snappy(body),
                    {**headers, "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
                )
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
                continue
            if response.status == 204:
                self.rounds += 1
            else:
                self.refusals.append(f"{response.status} {response.body[:300]!r}")
                time.sleep(0.05)
            time.sleep(0.01)
