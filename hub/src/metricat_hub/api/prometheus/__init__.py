"""The Prometheus HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
