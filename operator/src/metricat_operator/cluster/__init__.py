"""All Kubernetes I/O: the only room that speaks to the API server.

Nothing here may decide what a target's children or status should be.
"""
