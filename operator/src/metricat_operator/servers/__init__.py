"""HTTP servers of the operator: probes and its own metrics."""
