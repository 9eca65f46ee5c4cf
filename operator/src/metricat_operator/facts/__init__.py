"""Facts gathered from the cluster, as plain frozen types. Pure."""
