"""Screenshots of the hub's web page for the docs, taken from a running hub."""
