"""The embedded store: one directory, no other service."""
