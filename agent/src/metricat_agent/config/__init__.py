"""The agent's settings: flags, a file and environment variables, validated before anything starts."""
