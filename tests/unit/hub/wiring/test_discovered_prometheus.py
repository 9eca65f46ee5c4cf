"""The store follows the Prometheus that the status of most MonitoringTargets names."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.config.remote_store import UNKNOWN
from metricat_hub.model.errors import AccessUnavailableError, StoreUnavailableError
from metricat_hub.model.server import Server
from metricat_hub.promql.limits import Limits
from metricat_hub.wiring.discovered_prometheus import DiscoveredPrometheus, NoPrometheusError, chosen_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

A, B = "http://prometheus-a-0.prometheus-operated.a.svc:9090", "https://prometheus-b-0.b.b.svc:9090/prefix"


def target(*urls: str) -> dict[str, Any]:
    found = [{"namespace": "monitoring", "name": f"p{number}", "url": url} for number, url in enumerate(urls)]
    return {"metadata": {"namespace": "team"}, "status": {"prometheuses": found}}


@pytest.mark.parametrize(
    ("targets", "url"),
    [
        ([target(A)], A),
        ([target(B), target(A), target(B)], B),
        ([target(B), target(A)], A),
        ([target("", A)], A),
        ([target("file:///etc/passwd", "http://user:secret@x", A)], A),
        ([{"metadata": {}}, {"metadata": {}, "status": {}}, target(B)], B),
    ],
)
def test_url_is_that_of_most_targets(targets: list[dict[str, Any]], url: str) -> None:
    assert chosen_url(targets) == url


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "no MonitoringTarget exists yet"),
        ([{"metadata": {}, "status": {}}], "no Prometheus selects the ServiceMonitor of a MonitoringTarget yet"),
        ([target("")], "no URL reaches all samples of Prometheus monitoring/p0"),
    ],
)
def test_missing_url_is_explained(targets: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(NoPrometheusError, match=message) as error:
        chosen_url(targets)
    assert "hub.prometheus.url" in str(error.value)


class Cluster:
    """The MonitoringTargets of a cluster whose API server may be down."""

    def __init__(self) -> None:
        self.targets: list[dict[str, Any]] = []
        self.is_down = False

    def monitoring_targets(self) -> Sequence[dict[str, Any]]:
        if self.is_down:
            raise AccessUnavailableError("the API server of Kubernetes does not respond. Retry later.")
        return self.targets


@contextmanager
def prometheus(name: str) -> Iterator[str]:
    """Serve label names only: the name of this server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"status": "success", "data": [name]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_store_follows_the_status_and_reports_why_it_cannot_answer() -> None:
    cluster = Cluster()
    store = DiscoveredPrometheus(Server(UNKNOWN), cluster, Limits())
    assert "no MonitoringTarget exists yet" in store.problems()[0]
    with pytest.raises(StoreUnavailableError, match="no MonitoringTarget exists yet"):
        store.label_names([], 0, 1)
    with prometheus("first") as first, prometheus("second") as second:
        cluster.targets = [target(first)]
        store.maintain()
        assert store.problems() == ()
        assert store.label_names([], 0, 1) == ["first"]
        cluster.targets = [target(second)]
        store.maintain()
        assert store.label_names([], 0, 1) == ["second"]
        cluster.is_down = True
        store.maintain()
        assert store.problems() == (), "the known address remains in use"
        assert store.label_names([], 0, 1) == ["second"]
        cluster.is_down, cluster.targets = False, []
        store.maintain()
        with pytest.raises(StoreUnavailableError, match="no MonitoringTarget exists yet"):
            store.label_names([], 0, 1)
    store.close()


def test_store_waits_for_the_api_server() -> None:
    cluster = Cluster()
    cluster.is_down = True
    store = DiscoveredPrometheus(Server(UNKNOWN), cluster, Limits())
    assert "does not respond" in store.problems()[0]
    cluster.is_down, cluster.targets = False, [target(A)]
    store.maintain()
    assert store.problems() == ()
