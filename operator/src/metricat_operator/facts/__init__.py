"""Facts about the cluster, as frozen types without behaviour. Pure."""
