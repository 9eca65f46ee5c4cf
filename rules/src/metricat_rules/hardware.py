"""Alerts about the hardware and the kernel: file handles, clock, temperature, memory errors, hung tasks, reboots."""

from metricat_rules.alert import NODE, Alert, Level, plural
from metricat_rules.recording import KEYS

_OFFSET = "node_timex_offset_seconds{<selector>}"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeFileDescriptorsHigh",
        meaning="Most of the kernel's file handles are in use. When all are in use, programs cannot open files.",
        expr="metricat:node_filefd_usage:percent{<selector>} > <threshold>",
        resource="descriptors",
        summary="{{ $labels.node }} has few file handles left",
        description=f'{NODE} uses {{{{ $value | printf "%.1f" }}}} % of its file handles (threshold <threshold> %).',
        action="Run lsof -n | awk '{print $1}' | sort | uniq -c | sort -n | tail on the node to find the programs "
        "with the most open files.",
        unit="%",
        levels=(Level("warning", 70, "15m"), Level("critical", 90, "15m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeClockSkew",
        meaning="The offset of the clock from its reference is large, and does not shrink.",
        expr=f"max by ({KEYS}) (abs({_OFFSET}) > <threshold> and {_OFFSET} * deriv({_OFFSET}[5m]) >= 0)",
        resource="clock",
        summary="The clock of {{ $labels.node }} is wrong",
        description=f'The clock of {NODE} is {{{{ $value | printf "%.3f" }}}} s from its reference '
        "(threshold <threshold> s), and the offset does not shrink.",
        action="Run chronyc tracking or timedatectl timesync-status on the node to see the reference and the offset.",
        unit="seconds",
        levels=(Level("warning", 0.05, "10m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeClockNotSynchronising",
        meaning="The clock is not synchronized: no NTP or PTP client reaches a reference.",
        expr=f"max by ({KEYS}) (min_over_time(node_timex_sync_status{{<selector>}}[5m])) == 0 "
        f"and max by ({KEYS}) (node_timex_maxerror_seconds{{<selector>}}) >= 16",
        resource="clock source",
        summary="The clock of {{ $labels.node }} is not synchronized",
        description=f"The clock of {NODE} is not synchronized with a reference. Check its NTP or PTP client.",
        action="Run systemctl status chronyd systemd-timesyncd ntpd on the node. Exactly one of them should run.",
        levels=(Level("warning", None, "10m"),),
    ),
    Alert(
        name="NodeTemperatureHigh",
        meaning="A sensor is near (warning) or at or above (critical) the critical temperature that its manufacturer "
        "specifies.",
        expr="metricat:node_temperature_margin:celsius{<selector>} <= <threshold>",
        resource="temperature {{ $labels.chip }} {{ $labels.sensor }}",
        summary="{{ $labels.node }} is hot",
        description=f"Sensor {{{{ $labels.sensor }}}} of {{{{ $labels.chip }}}} on {NODE} is "
        '{{ printf "%.1f" $value | reReplaceAll "^-" "" }} °C {{ if lt $value 0.0 }}above{{ else }}below{{ end }} its '
        "critical temperature (threshold: <threshold> °C below it).",
        action="Move pods off the node. Check for stopped fans and a hot server room.",
        unit="°C below the critical temperature, or less",
        levels=(Level("warning", 5, "10m"), Level("critical", 0, "1m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeMemoryErrors",
        meaning="The memory has bit errors that its error correction (ECC) reports. Warning: many corrected errors in "
        "an hour. Critical: an error that could not be corrected.",
        expr=f"max by ({KEYS}, controller) (increase(node_edac_correctable_errors_total{{<selector>}}[1h])) "
        ">= <threshold>",
        resource="memory errors {{ $labels.controller }}",
        summary="Memory of {{ $labels.node }} has errors",
        description=f"Memory controller {{{{ $labels.controller }}}} of {NODE} corrected {plural('error', 'errors')} "
        "within the last hour (threshold <threshold>).",
        action="Find the module with node_edac_csrow_correctable_errors_total and ..._uncorrectable_errors_total, or "
        "run edac-util -v on the node. Drain the node and replace the module.",
        unit="errors within an hour",
        levels=(
            Level("warning", 10, "0s"),
            Level(
                "critical",
                None,
                "0s",
                f"max by ({KEYS}, controller) (increase(node_edac_uncorrectable_errors_total{{<selector>}}[1h])) > 0",
                description=f"Memory controller {{{{ $labels.controller }}}} of {NODE} reported "
                f"{plural('error', 'errors')} within the last hour that could not be corrected.",
            ),
        ),
    ),
    Alert(
        name="NodeHungTasks",
        meaning="The kernel detected tasks that were blocked for longer than its limit (hung_task, by default 120 s). "
        "Usual causes are a disk or a file server that does not respond, and a deadlock in the kernel. Only Linux 6.13 "
        "and newer count such tasks. For older kernels, install node-problem-detector: it reports the condition "
        "KernelDeadlock (see NodeUnhealthy).",
        expr=f"max by ({KEYS}) (increase(node_kernel_hung_tasks_total{{<selector>}}[15m])) > 0",
        resource="hung tasks",
        summary="Tasks on {{ $labels.node }} hang",
        description=f"The kernel of {NODE} detected {plural('hung task', 'hung tasks')} within 15 minutes.",
        action="Run dmesg -T | grep -A20 'blocked for more than' on the node: it shows where the tasks wait.",
        levels=(Level("warning", None, "0s"),),
    ),
    Alert(
        name="NodeRebooted",
        meaning="The node rebooted within the last 15 minutes: its boot time changed by more than a minute.",
        expr=f"max by ({KEYS}) (node_boot_time_seconds{{<selector>}}) "
        f"- min by ({KEYS}) (min_over_time(node_boot_time_seconds{{<selector>}}[15m])) > 60",
        resource="boot",
        summary="{{ $labels.node }} rebooted",
        description=f"{NODE} rebooted. The previous boot was {{{{ $value | humanizeDuration }}}} earlier.",
        action="No action if the reboot was expected. Otherwise run journalctl -b -1 -e on the node: it shows the last "
        "lines before the reboot.",
        levels=(Level("info", None, "0s"),),
    ),
    Alert(
        name="NodeRebootRequired",
        meaning="The node must reboot to complete the installation of packages, for example of a new kernel. The agent "
        "reads /run/reboot-required, which packages of Debian and Ubuntu create. On other systems, a script can write "
        "the metric node_reboot_required into a file for the collector textfile.",
        expr=f"max by ({KEYS}) (node_reboot_required{{<selector>}}) > 0",
        resource="reboot",
        summary="{{ $labels.node }} must reboot",
        description=f"Packages of {NODE} were updated, and take effect only after a reboot.",
        action="Run cat /run/reboot-required.pkgs on the node: it lists the packages. Drain the node and reboot it.",
        levels=(Level("info", None, "24h"),),
    ),
)
