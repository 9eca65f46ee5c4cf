"""Benchmarks of the agent, the operator, the predictive alerts and the hub."""
