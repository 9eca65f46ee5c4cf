"""The REST API: measures (series with common names such as `cpu_usage_percent`), nodes, collectors, hub state."""
