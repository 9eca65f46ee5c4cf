"""Benchmarks: the agent against node_exporter, the operator against a minimal apply loop, the predictive alerts."""
