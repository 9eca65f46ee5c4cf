"""Alerts about endpoints that the agents probe."""

from metricat_rules.alert import NODE, Alert, Level
from metricat_rules.recording import KEYS

_BY = f"{KEYS}, probe, target"
_ENDPOINT = f"{{{{ $labels.probe }}}} ({{{{ $labels.target }}}}) from {NODE}"
_FIRST = (
    "Run curl -v, or the same kind of request, for {{ $labels.target }} on the node. The agent's log has the reason."
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="EndpointDown",
        meaning="No probe of an endpoint from this node succeeds.",
        expr=f"max by ({_BY}) (max_over_time(probe_success{{<selector>}}[<window>])) == 0",
        resource="endpoint {{ $labels.probe }}",
        summary="{{ $labels.probe }} does not respond to {{ $labels.node }}",
        description=f"All probes of {_ENDPOINT} fail.",
        action=_FIRST,
        levels=(Level("warning", None, "2m"), Level("critical", None, "10m")),
    ),
    Alert(
        name="EndpointErrorRateHigh",
        meaning="Many probes of an endpoint from this node fail, although others succeed.",
        expr=f"100 * (1 - max by ({_BY}) (avg_over_time(probe_success{{<selector>}}[15m]))) >= <threshold> < 100",
        resource="endpoint errors {{ $labels.probe }}",
        summary="Many probes of {{ $labels.probe }} from {{ $labels.node }} fail",
        description=f'{{{{ $value | printf "%.0f" }}}} % of the probes of {_ENDPOINT} failed within 15 minutes '
        "(threshold <threshold> %).",
        action=_FIRST,
        unit="% of probes",
        levels=(Level("warning", 10, "10m"), Level("critical", 50, "10m")),
        keep_firing=True,
    ),
    Alert(
        name="EndpointSlow",
        meaning="Probes of an endpoint from this node take long on average, and the last probe succeeded.",
        expr=f"max by ({_BY}) (avg_over_time(probe_duration_seconds{{<selector>}}[10m])) >= <threshold> "
        f"and max by ({_BY}) (probe_success{{<selector>}}) == 1",
        resource="endpoint latency {{ $labels.probe }}",
        summary="{{ $labels.probe }} responds slowly to {{ $labels.node }}",
        description=f'Probes of {_ENDPOINT} take {{{{ $value | printf "%.2f" }}}} s on average '
        "(threshold <threshold> s).",
        action="Compare probe_dns_lookup_time_seconds and probe_http_duration_seconds by phase: they show whether DNS, "
        "the network, TLS or the server is slow.",
        unit="s",
        levels=(Level("warning", 2, "10m"), Level("critical", 4, "10m")),
        keep_firing=True,
    ),
    Alert(
        name="CertificateExpiresSoon",
        meaning="A certificate that a probed endpoint sends expires soon.",
        expr=f"(max by ({_BY}) (probe_ssl_earliest_cert_expiry{{<selector>}}) - time()) / 86400 < <threshold>",
        resource="certificate {{ $labels.probe }}",
        summary="The certificate of {{ $labels.probe }} expires soon",
        description=f'The certificate of {_ENDPOINT} expires in {{{{ $value | printf "%.1f" }}}} days '
        "(threshold <threshold> days).",
        action="Renew the certificate, and check that the program that renews it runs: kubectl get certificates -A.",
        unit="days",
        levels=(Level("warning", 14, "1h"), Level("critical", 3, "1h")),
    ),
)
