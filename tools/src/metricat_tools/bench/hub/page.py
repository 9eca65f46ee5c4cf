"""The part `page`: size of the web page's code, time to its first view, and frames per second with live nodes."""

from __future__ import annotations

import contextlib
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from metricat_tools.bench.hub.programs import hub
from metricat_tools.bench.hub.report import Figure
from metricat_tools.browser import chromium
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, CDPSession, Page

NODES = 1_000
_PAGE = Path(__file__).resolve().parents[5] / "hub/src/metricat_hub/page"
_SLOWER = 4
_SECONDS = 20
_START_SECONDS = 180

_FIRST_TILE = """
new MutationObserver((_, observer) => {
  if (document.querySelector(".tile")) {
    observer.disconnect();
    requestAnimationFrame(() => { window.firstTile = performance.now(); });
  }
}).observe(document, { childList: true, subtree: true });
"""
_FRAMES = """
async (seconds) => {
  const begin = performance.now();
  const frames = [];
  const lags = [];
  const shown = document.querySelector(".live-text");
  new MutationObserver(() => {
    const [hours, minutes, second] = shown.textContent.match(/\\d\\d/g).map(Number);
    lags.push((Date.now() - new Date().setHours(hours, minutes, second, 0)) / 1000);
  }).observe(shown, { childList: true, characterData: true, subtree: true });
  let by = 40;
  await new Promise((done) => {
    const frame = (now) => {
      frames.push(now - begin);
      if (window.scrollY + window.innerHeight >= document.documentElement.scrollHeight - 50) by = -40;
      if (window.scrollY === 0) by = 40;
      window.scrollBy(0, by);
      if (now - begin < seconds * 1000) requestAnimationFrame(frame);
      else done();
    };
    requestAnimationFrame(frame);
  });
  const each = new Array(seconds).fill(0);
  for (const at of frames) if (at < seconds * 1000) each[Math.floor(at / 1000)]++;
  return { mean: frames.length / seconds, worst: Math.min(...each), lag: Math.max(0, ...lags) };
}
"""


def measure(folder: Path) -> list[Figure]:
    """Return the figures of the web page. One server simulates the agents of all nodes."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only this part needs it

    size = sum(path.stat().st_size for path in _PAGE.glob("*.gz"))
    with _targets() as address, hub(folder, _config(address)) as server, sync_playwright() as playwright:
        _wait_for_nodes(lambda: server.get("/api/nodes?limit=10000").count(b'"hostname"'))
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        first = _first_view(browser, server.url)
        frames = _frames(browser, server.url)
        browser.close()
    return [
        Figure("page: code and styles, compressed", f"{size / 1024:.0f} KiB", goal="120 KiB", met=size <= 120 << 10),
        Figure(
            f"page: first view of {NODES} nodes, {_SLOWER}x slower CPU",
            f"{first:.1f} s",
            goal="2 s",
            met=first <= 2,
        ),
        Figure(
            f"page: {NODES} live nodes, scrolled for {_SECONDS} s",
            f"{frames['mean']:.0f} frames/s, {frames['worst']:.0f} in the worst second, "
            f"main thread {100 * frames['busy']:.0f} % busy",
            goal="30 frames/s",
            met=frames["worst"] >= 30,
        ),
        Figure(
            "page: from the time of a round to the screen", f"{frames['lag']:.1f} s", goal="2 s", met=frames["lag"] <= 2
        ),
    ]


def _first_view(browser: Browser, url: str) -> float:
    """Return the seconds until a new visitor sees the fleet."""
    page = _page(browser)
    page.add_init_script(_FIRST_TILE)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWER})
    page.goto(url)
    page.wait_for_function("window.firstTile", timeout=60_000)
    found: float = page.evaluate("window.firstTile") / 1000
    page.close()
    return found


def _frames(browser: Browser, url: str) -> dict[str, float]:
    page = _page(browser)
    page.goto(url)
    page.wait_for_function("document.querySelector('.live')?.dataset.state === 'live'", timeout=60_000)
    page.wait_for_function("/\\d\\d:/.test(document.querySelector('.live-text').textContent)", timeout=60_000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = _busy(session)
    found: dict[str, float] = page.evaluate(_FRAMES, _SECONDS)
    found["busy"] = (_busy(session) - before) / _SECONDS
    page.close()
    return found


def _busy(session: CDPSession) -> float:
    """Return the CPU seconds of the page's main thread."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def _page(browser: Browser) -> Page:
    # `wait_for_function` evaluates text, which the policy of the page forbids.
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", bypass_csp=True)
    return context.new_page()


def _wait_for_nodes(count: Callable[[], int]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while count() < NODES:
        if time.monotonic() > deadline:
            raise ToolError(f"the hub has {count()} of {NODES} nodes after {_START_SECONDS} s")
        time.sleep(1)


def _config(address: str) -> dict[str, object]:
    groups = [
        {
            "targets": [address],
            "labels": {
                "__metrics_path__": f"/{number}",
                "node": f"node-{number:04}",
                "instance": f"node-{number:04}",
                "pool": f"pool-{number % 7}",
                "namespace": "local",
                "service": "metricat",
            },
        }
        for number in range(NODES)
    ]
    return {"scrape_configs": [{"job_name": "nodes", "scrape_interval": "10s", "static_configs": groups}]}


@contextmanager
def _targets() -> Iterator[str]:
    """Serve the metrics of all nodes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Target(BaseHTTPRequestHandler):
    """The metrics of one node, whose values change with each scrape."""

    protocol_version = "HTTP/1.1"
    begin: ClassVar[float] = time.time() - 3600

    def do_GET(self) -> None:
        """Send the metrics of the node in the path."""
        body = self._text(int(self.path.strip("/"))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        """Serve a connection; the hub resets it when it ends."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _text(self, number: int) -> str:
        now = time.time()
        busy = (number * 37 + int(now / 10) * 11) % 100 / 100
        up = now - self.begin
        cpus = (
            f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}} {up * part:.2f}'
            for cpu in range(2)
            for mode, part in (("idle", 1 - busy), ("user", busy * 0.7), ("system", busy * 0.3), ("iowait", 0))
        )
        traffic = (
            f'node_network_{way}_bytes_total{{device="eth0"}} {up * 1e5 * (number % 9 + 1):.0f}'
            for way in ("receive", "transmit")
        )
        return "\n".join(
            (
                *cpus,
                *traffic,
                f"node_load1 {busy * 3:.2f}",
                f"node_boot_time_seconds {self.begin:.0f}",
                "node_memory_MemTotal_bytes 16e9",
                f"node_memory_MemAvailable_bytes {16e9 * (1 - busy):.0f}",
                'node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 1e12',
                f'node_filesystem_avail_bytes{{device="/dev/sda1",fstype="ext4",mountpoint="/"}} {number % 80 + 15}e10',
                f'node_uname_info{{machine="x86_64",nodename="node-{number:04}",release="6.12.0",sysname="Linux"}} 1',
                "",
            )
        )
