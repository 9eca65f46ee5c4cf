"""Measurements, side by side in one run: the agent against node_exporter, the operator against a bare loop."""
