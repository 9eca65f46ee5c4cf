"""Decoder of OTLP metrics, which translates names as Prometheus' OTLP receiver does."""
