"""Metrics as data, and Prometheus' text formats. Pure."""
