"""A store behind a Prometheus-compatible HTTP API: Prometheus, VictoriaMetrics, Thanos, Mimir. See docs/design/0037."""

from metricat_hub.store.prometheus.engine import RemoteEngine
from metricat_hub.store.prometheus.store import PrometheusStore

__all__ = ["PrometheusStore", "RemoteEngine"]
