"""The operator: reconciles each MonitoringTarget into DaemonSets, a ServiceMonitor, rules and other objects."""

__version__ = "0.1.0"
