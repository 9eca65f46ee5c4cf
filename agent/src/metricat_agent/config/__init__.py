"""What the agent is told: flags, a file, the environment; checked before anything starts."""
