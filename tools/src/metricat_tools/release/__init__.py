"""Releases: one version everywhere, its section of the changelog, and its tag."""
