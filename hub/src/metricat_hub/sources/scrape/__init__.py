"""The scraper of Prometheus targets."""
