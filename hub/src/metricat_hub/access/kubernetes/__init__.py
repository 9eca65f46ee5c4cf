"""Bearer tokens of Kubernetes: the API server authenticates them, and decides which namespaces a user may see.

See docs/design/0038-hub-in-a-cluster.md.
"""
