"""The agent: exports one node's metrics under node_exporter's names."""

__version__ = "0.1.0"
