"""`spec.monitor`: how Prometheus scrapes the agents."""

from typing import Literal

from pydantic import Field

from metricat_operator.api.fields import Interval, Model, cel, rule
from metricat_operator.api.labels import ChildLabels
from metricat_operator.api.relabeling import Relabeling


class Monitor(Model):
    """How Prometheus scrapes the agents."""

    labels: ChildLabels = Field(
        default={}, description="Labels of the ServiceMonitor, such as the one a Prometheus selects monitors by."
    )
    interval: Interval = Field(default="15s", description="Time between two scrapes, such as 15s.")
    scrape_timeout: Interval = Field(default="10s", description="When a scrape is given up; at most the interval.")
    job_name: str = Field(
        default="metricat",
        min_length=1,
        max_length=63,
        description="The series' job label; node-exporter makes the agents a drop-in replacement for it.",
    )
    service_discovery_role: Literal["Endpoints", "EndpointSlice"] | None = Field(
        default=None,
        description="What Prometheus finds the agents by: Endpoints hold 1,000 at most; for EndpointSlice it must be "
        "allowed to list and watch endpointslices. Default: as the Prometheus has it.",
    )
    sample_limit: int = Field(
        default=0, ge=0, le=10_000_000, description="Samples that one scrape may bring; 0: no limit."
    )
    metric_relabelings: tuple[Relabeling, ...] = Field(
        default=(), max_length=32, description="Changes to scraped samples, in order: drop metrics, rename labels."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "duration(has(self.scrapeTimeout) ? self.scrapeTimeout : '10s') <= "
                "duration(has(self.interval) ? self.interval : '15s') || "
                "(has(self.interval) && duration(self.interval) == duration('0s'))",  # which is refused by itself
                "scrapeTimeout (default 10s) must not be longer than interval (default 15s); set both",
            )
        )
    }
