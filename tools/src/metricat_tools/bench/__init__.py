"""Measurements: the agent against node_exporter, on this machine, in one run."""
