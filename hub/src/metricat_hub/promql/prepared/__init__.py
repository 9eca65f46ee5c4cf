"""Prepared queries: compiled once, then evaluated at many times, as rules need. See docs/design/0028."""
