"""The hub: collects, stores and queries the metrics of many machines in one process."""

from importlib.metadata import version

__version__ = version("metricat-hub")
