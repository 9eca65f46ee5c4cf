"""All requests to the API server and to Prometheus, and the caches of the cluster's objects.

Nothing here decides what the children or the status of a target should be.
"""
