"""`spec.monitor`: settings of Prometheus' scrapes of the agents. See docs/design/0013."""

from typing import Literal

from pydantic import Field, StrictInt

from metricat_operator.api.fields import Interval, Model, cel, is_duration, rule
from metricat_operator.api.labels import ChildLabels
from metricat_operator.api.relabeling import Relabeling
from metricat_rules.durations import spec_seconds

_TIMEOUT = "10s"


class Monitor(Model):
    """Settings of Prometheus' scrapes of the agents."""

    labels: ChildLabels | None = Field(
        default=None,
        description="Labels of the ServiceMonitor, by which a Prometheus selects it. Default: the labels that "
        "the Prometheus requires, if only one can select the target's objects. {}: no labels.",
    )
    interval: Interval = Field(default="15s", description="Time between two scrapes, such as 15s.")
    scrape_timeout: Interval | None = Field(
        default=None,
        description=f"Timeout of a scrape; at most the interval. Default: {_TIMEOUT}, or the interval if that is less.",
    )
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
    sample_limit: StrictInt = Field(
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
                "!has(self.scrapeTimeout) || "
                "duration(self.scrapeTimeout) <= duration(has(self.interval) ? self.interval : '15s') || "
                # the type `Interval` rejects these, with its own message
                f"!{is_duration('self.scrapeTimeout')} || (has(self.interval) && "
                f"(!{is_duration('self.interval')} || duration(self.interval) == duration('0s')))",
                "scrapeTimeout must not be longer than interval (default 15s). Shorten scrapeTimeout or lengthen "
                "interval.",
            )
        )
    }

    @property
    def effective_timeout(self) -> str:
        """Return the timeout of a scrape: the spec's, otherwise the default, capped at the interval."""
        if self.scrape_timeout is not None:
            return self.scrape_timeout
        return min(_TIMEOUT, self.interval, key=spec_seconds)
