"""A real Prometheus sends to the hub in both versions of remote write: the hub has the same samples."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from typing import TYPE_CHECKING

import pytest

from metricat_hub.api.write import routes
from metricat_hub.use_cases.write import SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore
from support.prometheus_server import prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.prometheus_server import Prometheus, Samples

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: test
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
remote_write:
  - url: http://127.0.0.1:{hub}/api/v1/write
    protobuf_message: {message}
    authorization: {{credentials: {key}}}
    queue_config: {{batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 200ms}}
    metadata_config: {{send_interval: 1s}}
"""


@pytest.fixture
def target() -> Iterator[int]:
    """Serve a page whose values change, and whose series end."""
    pages = iter(range(1, 1_000_000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = next(pages)
            lines = [
                "# HELP a_total Help.",
                "# TYPE a_total counter",
                *(f'a_total{{device="{device}",note="\u00fc\\"\\\\"}} {number * device}' for device in range(40)),
                "# TYPE b gauge",
                f"b {-number / 3}",
                "c NaN",
                "d +Inf",
                "zero 0",
            ]
            if number % 4 < 2:
                lines.append(f"ends {number}")
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write("\n".join([*lines, ""]).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def texts(samples: Samples) -> dict[tuple[tuple[str, str], ...], dict[int, str]]:
    """Return the values as texts, in which NaN equal each other."""
    return {labels: {at: repr(value) for at, value in values.items()} for labels, values in samples.items()}


def received(store: MemoryStore, until: int) -> Samples:
    """Return the samples of the target up to a time, without staleness markers: queries do not return them."""
    found: Samples = {}
    for labels, values in store.samples.items():
        has_nan = dict(labels)["__name__"] == "c"
        kept = {at: value for at, value in values.items() if at <= until and (has_nan or not isnan(value))}
        if ("job", "test") in labels and kept:
            found[labels] = kept
    return found


def sent(server: Prometheus, until: int) -> Samples:
    return {
        labels: kept
        for labels, values in server.samples('{job="test"}[5m]').items()
        if (kept := {at: value for at, value in values.items() if at <= until})
    }


@pytest.mark.parametrize("message", ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"])
def test_hub_has_the_samples_that_prometheus_sends(tmp_path: Path, target: int, message: str) -> None:
    store = MemoryStore(int(time.time() * 1000))
    with serving(routes(SampleWriter(store)), tmp_path) as hub:
        port, key = hub.port, hub.key
        config = CONFIG.format(target=target, hub=port, message=message, key=key)
        with prometheus(tmp_path, config) as server:
            until(lambda: len(store.samples) > 40 and (store.metadata or "v2" in message))
            store.is_full = True
            time.sleep(2)  # Prometheus retries after 503
            store.is_full = False
            store.forget()
            end = int(time.time() * 1000)
            time.sleep(2)
            until(lambda: texts(received(store, end)) == texts(sent(server, end)))
    assert len(received(store, end)) >= 46
    if "v2" not in message:  # by default, Prometheus sends no metadata in version 2.0
        assert (store.metadata["a_total"].type, store.metadata["a_total"].help) == ("counter", "Help.")
    [ends] = [values for labels, values in store.samples.items() if ("__name__", "ends") in labels]
    assert any(map(isnan, ends.values())), "a staleness marker"


def until(condition: Callable[[], object], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
