"""The operator: reconciles each MonitoringTarget into DaemonSets of agents, a Service, a ServiceMonitor and rules."""

__version__ = "0.1.0"
