"""The demo: one object, agents on every node, samples in Prometheus, an alert that fires and resolves.

The demo prints each step for a user, and the e2e tests assert the same. Both use the same setup and the same queries.
"""
