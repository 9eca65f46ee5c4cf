"""The main job, end to end: one object, agents on every node, samples in Prometheus, an alert that fires and resolves.

The demo tells it to a person and the e2e tests assert it; both set the same demo and ask the same questions.
"""
