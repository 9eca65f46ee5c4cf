"""Decoders of pushed samples: remote write, JSON batches, OTLP."""
