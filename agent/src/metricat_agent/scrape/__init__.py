"""One scrape of the collectors that are switched on: isolation, deadlines, limits."""
