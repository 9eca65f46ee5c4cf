"""Decoder of OTLP metrics, with the names that Prometheus' OTLP receiver gives them."""
