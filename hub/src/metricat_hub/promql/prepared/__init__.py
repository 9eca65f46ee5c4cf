"""Prepared queries: compiled once, then evaluated at one time again and again, as rules need. See docs/design/0028."""
