"""Benchmarks: the agent against node_exporter, the operator against a bare loop, the predictive alerts."""
