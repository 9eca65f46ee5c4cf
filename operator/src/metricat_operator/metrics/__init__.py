"""Metric families of the operator: its own work, the status of targets, and nodes; `servers` exposes them."""
