"""Push of metrics by Prometheus remote write, with a bounded buffer in memory or on disk. Imported only with push.url.

See docs/design/0031-pushed-samples.md.
"""
