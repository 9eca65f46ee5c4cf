"""The operator: keeps a DaemonSet of exporters, its monitors and its rules in step with each MonitoringTarget."""

__version__ = "0.1.0"
