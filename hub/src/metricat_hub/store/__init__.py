"""Stores of samples. They implement the interfaces in `model.ports`."""
