"""Checks of the code and of the dependencies, each with an upstream program. See docs/design/0048."""
