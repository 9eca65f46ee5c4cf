"""Benchmarks of the hub, next to Prometheus and VictoriaMetrics: `make bench-hub`."""
