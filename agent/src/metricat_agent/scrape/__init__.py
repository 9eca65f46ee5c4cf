"""One scrape of the enabled collectors: isolation, timeouts, limits."""
