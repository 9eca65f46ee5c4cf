"""The agent as a child process of the hub."""

from metricat_hub.sources.agent.process import AgentProcess

__all__ = ["AgentProcess"]
