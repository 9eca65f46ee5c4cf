"""Push of metrics by Prometheus remote write, with a bounded buffer on disk. Imported only if it is enabled.

See docs/design/0031-pushed-samples.md.
"""
