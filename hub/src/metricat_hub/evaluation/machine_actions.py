"""The first steps for shipped alerts on machines without Kubernetes, instead of the catalogue's steps for pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGENT_LOG = "Read the log of the agent on the node, for example with journalctl -u metricat-agent."
_LOAD = "the processes named in the description"
ACTIONS: Final[Mapping[str, str]] = {
    "NodeCPUUsageHigh": f"Stop {_LOAD} if they should not run, or limit them with CPUQuota of their systemd unit.",
    "NodePressureCPU": f"Stop or move some of {_LOAD}. If a CPUQuota throttles them, and the machine has idle CPUs, "
    "raise it.",
    "NodeMemoryUsageHigh": f"Check whether the memory of {_LOAD} grows. Restart them, or set MemoryMax of their unit.",
    "NodeOOMKill": "Run journalctl -k --grep='Out of memory' on the node to find the processes that the kernel killed.",
    "NodeMemoryMajorFaults": f"Free memory on the node: stop or move {_LOAD}.",
    "NodeSwapUsageHigh": (
        f"Check with rate(node_vmstat_pswpin[5m]) whether pages are swapped in. If so, stop or move {_LOAD}."
    ),
    "NodePressureMemory": f"Stop one of {_LOAD} now, before the kernel kills a process.",
    "NodeImageFilesystemUsageHigh": "Run docker system df or podman system df on the node to find images to remove.",
    "NodeFilesystemReadOnly": (
        "Run dmesg -T on the node to find the disk error. Stop the services that use the filesystem before a repair."
    ),
    "NodeNetworkBandwidthHigh": "Run nethogs or iftop on the node to find the processes that send and receive.",
    "NodeMemoryErrors": (
        "Find the module with node_edac_csrow_correctable_errors_total and ..._uncorrectable_errors_total, or run "
        "edac-util -v on the node. Replace the module."
    ),
    "NodeRebootRequired": "Run cat /run/reboot-required.pkgs on the node: it lists the packages. Reboot the node.",
    "NodeTemperatureHigh": "Move load off the machine. Check for stopped fans and a hot server room.",
    "CertificateExpiresSoon": (
        "Renew the certificate, and check that the program that renews it runs: systemctl list-timers."
    ),
    "NodeAgentDown": (
        "Run systemctl status metricat-agent on the node. The path /api/v1/targets of the hub shows the last error."
    ),
    "NodeCollectorFailing": f"{_AGENT_LOG} The log shows the file that the collector could not read, and the error.",
    "NodeTextfileError": f"{_AGENT_LOG} The log names the file. Correct the program that writes the file.",
    "NodeCollectorIncomplete": f"{_AGENT_LOG} The log names the collectors that the agent left out, or the number of "
    "series.",
}
"""The first step by the name of the alert."""
