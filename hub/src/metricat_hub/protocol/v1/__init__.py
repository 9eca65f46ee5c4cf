"""Version 1: the package `metricat.v1`."""
