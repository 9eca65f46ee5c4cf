"""Alerts about the machine and its kernel: descriptors, clock, temperature, reboots."""

from metricat_operator.alerts.alert import NODE, Alert, Level
from metricat_operator.alerts.recording import KEYS

_OFFSET = "node_timex_offset_seconds{<selector>}"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeFileDescriptorsHigh",
        meaning="The kernel has handed out most of the file handles that it will; then programs cannot open files.",
        expr="metricat:node_filefd_usage:percent{<selector>} > <threshold>",
        resource="descriptors",
        summary="{{ $labels.node }} has few file handles left",
        description=f'{NODE} uses {{{{ $value | printf "%.1f" }}}} % of its file handles (threshold <threshold> %).',
        action="lsof -n | awk '{print $1}' | sort | uniq -c | sort -n | tail on the node shows who has so many.",
        unit="%",
        levels=(Level("warning", 70, "15m"), Level("critical", 90, "15m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeClockSkew",
        meaning="The clock is far from its reference, and does not come nearer.",
        expr=f"max by ({KEYS}) (abs({_OFFSET}) > <threshold> and {_OFFSET} * deriv({_OFFSET}[5m]) >= 0)",
        resource="clock",
        summary="The clock of {{ $labels.node }} is wrong",
        description=f'The clock of {NODE} is {{{{ $value | printf "%.3f" }}}} s from its reference '
        "(threshold <threshold> s), and does not come nearer.",
        action="chronyc tracking or timedatectl timesync-status on the node shows the reference and the offset.",
        unit="seconds",
        levels=(Level("warning", 0.05, "10m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeClockNotSynchronising",
        meaning="Nothing sets the clock: no NTP or PTP client is in touch with its reference.",
        expr=f"max by ({KEYS}) (min_over_time(node_timex_sync_status{{<selector>}}[5m])) == 0 "
        f"and max by ({KEYS}) (node_timex_maxerror_seconds{{<selector>}}) >= 16",
        resource="clock source",
        summary="The clock of {{ $labels.node }} is not set by a reference",
        description=f"The clock of {NODE} is not set by a reference; look at its NTP or PTP client.",
        action="systemctl status chronyd systemd-timesyncd ntpd on the node: one of them, and only one, should run.",
        levels=(Level("warning", None, "10m"),),
    ),
    Alert(
        name="NodeTemperatureHigh",
        meaning="A sensor is near (warning) or above (critical) the temperature that its maker calls critical.",
        expr="metricat:node_temperature_margin:celsius{<selector>} <= <threshold>",
        resource="temperature {{ $labels.chip }} {{ $labels.sensor }}",
        summary="{{ $labels.node }} is hot",
        description=f"Sensor {{{{ $labels.sensor }}}} of {{{{ $labels.chip }}}} on {NODE} is "
        '{{ $value | printf "%.1f" }} °C below its critical temperature (threshold <threshold> °C).',
        action="take load off the node, and look for fans that stand still or a hot room.",
        unit="°C below the critical temperature, or less",
        levels=(Level("warning", 5, "10m"), Level("critical", 0, "1m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeRebooted",
        meaning="The node booted anew within the last 15 minutes: its boot time moved by more than a minute.",
        expr=f"max by ({KEYS}) (node_boot_time_seconds{{<selector>}}) "
        f"- min by ({KEYS}) (min_over_time(node_boot_time_seconds{{<selector>}}[15m])) > 60",
        resource="boot",
        summary="{{ $labels.node }} rebooted",
        description=f"{NODE} booted anew; the boot before was {{{{ $value | humanizeDuration }}}} earlier.",
        action="nothing, if it was expected; else journalctl -b -1 -e on the node has the last words of the "
        "boot before.",
        levels=(Level("info", None, "0s"),),
    ),
)
