"""`spec.monitor`: how Prometheus scrapes the agents. See docs/design/0013."""

from typing import Literal

from pydantic import Field

from metricat_operator.api.fields import Interval, Model, cel, rule
from metricat_operator.api.labels import ChildLabels
from metricat_operator.api.relabeling import Relabeling


class Monitor(Model):
    """How Prometheus scrapes the agents."""

    labels: ChildLabels = Field(
        default={},
        description="Labels of the ServiceMonitor, such as the label by which a Prometheus selects monitors.",
    )
    interval: Interval = Field(default="15s", description="Time between two scrapes, such as 15s.")
    scrape_timeout: Interval = Field(default="10s", description="Timeout of a scrape; at most the interval.")
    job_name: str = Field(
        default="metricat",
        min_length=1,
        max_length=63,
        description="The series' job label. Set node-exporter for a drop-in replacement of node_exporter.",
    )
    service_discovery_role: Literal["Endpoints", "EndpointSlice"] | None = Field(
        default=None,
        description="The objects in which Prometheus finds the agents. Endpoints hold at most 1,000 agents. "
        "EndpointSlice needs the permission to list and watch endpointslices. Default: the setting of the Prometheus.",
    )
    sample_limit: int = Field(
        default=0, ge=0, le=10_000_000, description="Maximum number of samples in one scrape; 0: no limit."
    )
    metric_relabelings: tuple[Relabeling, ...] = Field(
        default=(),
        max_length=32,
        description="Changes to scraped samples, in this order; for example to drop metrics or rename labels.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "duration(has(self.scrapeTimeout) ? self.scrapeTimeout : '10s') <= "
                "duration(has(self.interval) ? self.interval : '15s') || "
                "(has(self.interval) && duration(self.interval) == duration('0s'))",  # the type `Interval` rejects zero
                "scrapeTimeout (default 10s) must not be longer than interval (default 15s). Set both.",
            )
        )
    }
