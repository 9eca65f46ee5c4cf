"""Stores of samples behind the ports of `model.ports`."""
