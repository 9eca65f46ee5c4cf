"""The scraper of Prometheus targets: `config_file` reads a configuration, `scraper.Scraper` runs it."""
