"""What the operator serves over HTTP: probes and its own metrics."""
