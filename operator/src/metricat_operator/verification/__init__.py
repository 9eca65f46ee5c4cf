"""Whether the chain works from the agents to the alerts: what each Prometheus is asked, and what its answers mean.

Pure: what is asked over the network, and when, is not known here.
"""

from metricat_operator.verification.queries import prometheus_queries, subjects
from metricat_operator.verification.results import rules_loaded, scraped

__all__ = ["prometheus_queries", "rules_loaded", "scraped", "subjects"]
