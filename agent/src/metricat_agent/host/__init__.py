"""How the host's files, mounts and processes are read. Nothing here knows of metrics."""
