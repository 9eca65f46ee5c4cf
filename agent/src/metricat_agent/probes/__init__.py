"""Black-box probes of endpoints: HTTP, TCP, TLS, DNS and ICMP, with the metric names of blackbox_exporter.

Threads probe at the interval of each target. A scrape only reads the last results, so it never waits for an endpoint.
See docs/design/0032-probes.md.
"""
