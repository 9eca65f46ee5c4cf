"""Pictures of the page for the docs, taken from a running hub."""
