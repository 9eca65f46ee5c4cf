"""Reading of the host's files, mounts and processes, without any knowledge of metrics."""
