"""One function for each use case, independent of the interface that calls it."""
