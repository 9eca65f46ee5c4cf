"""The settings of the hub: flags, YAML file and environment."""
