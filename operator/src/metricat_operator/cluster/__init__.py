"""All requests to the API server and to Prometheus, and the caches of the cluster's objects.

This package does not compute the desired children or the status of a target.
"""
