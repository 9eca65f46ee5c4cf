"""Verification of the monitoring from agents to alerts: the queries to each Prometheus, and findings from the results.

Pure: the package `cluster` sends the queries.
"""

from metricat_operator.verification.addresses import prometheus_addresses
from metricat_operator.verification.default_labels import choose_default_labels, request_choice
from metricat_operator.verification.queries import prometheus_queries, subjects
from metricat_operator.verification.results import rules_loaded, scraped

__all__ = [
    "choose_default_labels",
    "prometheus_addresses",
    "prometheus_queries",
    "request_choice",
    "rules_loaded",
    "scraped",
    "subjects",
]
