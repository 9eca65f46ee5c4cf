"""Alerts about CPU and memory."""

from metricat_rules.alert import NODE, Alert, Level, plural
from metricat_rules.recording import KEYS


def _top(metric: str, amount: str) -> str:
    """Return the template of the three processes that use most, each with its pod if it has one.

    The pod's name comes from kube-state-metrics. Without it, the text shows the pod's UID.
    """
    processes = f"sort_desc(topk(3, max by (pid, name, pod_uid) ({metric}{{<selector>,node=%q}})))"
    pod = (
        "{{ with .Labels.pod_uid }}, pod {{ $uid := . }}"
        '{{ with printf "kube_pod_info{uid=%q}" . | query }}'
        "{{ with index . 0 }}{{ .Labels.namespace }}/{{ .Labels.pod }}{{ end }}"
        "{{ else }}{{ $uid }}{{ end }}{{ end }}"
    )
    return (
        f"{{{{ with printf `{processes}` $labels.node | query }}}} Top processes:{{{{ range $i, $p := . }}}}"
        f"{{{{ if $i }}}};{{{{ end }}}} {{{{ with $p }}}}"
        f"{{{{ .Labels.name }}}} (pid {{{{ .Labels.pid }}}}{pod}) {amount}{{{{ end }}}}"
        "{{ end }}.{{ end }}"
    )


TOP_CPU = _top("metricat_process_cpu_ratio", '{{ .Value | printf "%.2f" }} CPUs')
TOP_MEMORY = _top("metricat_process_resident_memory_bytes", "{{ .Value | humanize1024 }}B")
"""Templates of the processes of the node that use the most CPU or memory."""


def _pids(limit: str) -> str:
    threads, most = (f"max by ({KEYS}) (node_processes_{name}{{<selector>}})" for name in ("threads", limit))
    return f"100 * {threads} / {most}"


_EXHAUSTED = "max_over_time(metricat:node_memory_usage:percent{<selector>}[5m]) >= 90"
_OOM_KILLS = "metricat:node_oom_kills:increase5m{<selector>} >= 1"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeCPUUsageHigh",
        meaning="The cores of the node are busy. Idle time, time waiting for I/O and time stolen by the hypervisor are "
        "excluded. Critical: in addition, tasks wait for a CPU at least 60 % of the time (pressure stall information, "
        "some). Critical fires after 2 hours, because builds and backups can keep the cores busy for shorter times. "
        "Without pressure stall information, the usage alone decides.",
        expr="metricat:node_cpu_usage:percent{<selector>} >= <threshold>",
        resource="cpu",
        summary="CPU usage on {{ $labels.node }} is high",
        description=f'CPU usage on {NODE} is {{{{ $value | printf "%.1f" }}}} % (threshold <threshold> %).{TOP_CPU}',
        action="Set CPU limits for the pods named in the description, or move them to other nodes. Stop processes that "
        "should not run.",
        unit="%",
        levels=(
            Level("warning", 90, "15m"),
            Level(
                "critical",
                95,
                "2h",
                "metricat:node_cpu_usage:percent{<selector>} >= <threshold> "
                "unless metricat:node_pressure_cpu_waiting:percent{<selector>} < 60",
            ),
        ),
        keep_firing=True,
    ),
    Alert(
        name="NodeSteal",
        meaning="The hypervisor runs other virtual machines while tasks of this node are ready to run.",
        expr='metricat:node_cpu_mode:percent{mode="steal",<selector>} >= <threshold>',
        resource="steal",
        summary="The hypervisor of {{ $labels.node }} has too few CPUs",
        description=f'The hypervisor of {NODE} runs other virtual machines {{{{ $value | printf "%.1f" }}}} % of the '
        "CPU time (threshold <threshold> %).",
        action="Move the virtual machine to another host, or use a machine type with dedicated CPUs. A machine type "
        "with CPU credits may have used up its credits.",
        unit="%",
        levels=(Level("warning", 10, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeIOWait",
        meaning="CPUs are idle while tasks wait for disks. The alert is meant for kernels without pressure stall "
        "information: NodePressureIO is more exact, and inhibits this alert.",
        expr='metricat:node_cpu_mode:percent{mode="iowait",<selector>} >= <threshold>',
        resource="iowait",
        summary="Tasks on {{ $labels.node }} wait for disks",
        description=f'The CPUs of {NODE} wait for disks {{{{ $value | printf "%.1f" }}}} % of the time '
        "(threshold <threshold> %).",
        action="Find the disk with metricat:node_disk_await:milliseconds and metricat:node_disk_queue:length.",
        unit="%",
        levels=(Level("warning", 40, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeLoadHigh",
        meaning="Many tasks run, or wait for a CPU or a disk, compared with the number of cores. The alert fires only "
        "on kernels without pressure stall information: NodePressureCPU and NodePressureIO are more exact.",
        expr="metricat:node_load1_per_cpu:ratio{<selector>} > <threshold> "
        f"unless on ({KEYS}) metricat:node_pressure_cpu_waiting:percent{{<selector>}}",
        resource="load",
        summary="The load of {{ $labels.node }} is high",
        description=f'The 1-minute load of {NODE} is {{{{ $value | printf "%.1f" }}}} per core (threshold <threshold>).'
        f"{TOP_CPU}",
        action="Check whether the CPUs are busy (NodeCPUUsageHigh) or tasks wait for a disk: ps -eo stat,comm | "
        "grep ^D on the node.",
        unit="tasks per core",
        levels=(Level("warning", 2, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodePressureCPU",
        meaning="Tasks wait for a CPU. The value is the share of time in which at least one task waited (pressure "
        "stall information, some).",
        expr="metricat:node_pressure_cpu_waiting:percent{<selector>} > <threshold>",
        resource="cpu pressure",
        summary="Tasks on {{ $labels.node }} wait for a CPU",
        description=f'On {NODE}, tasks waited for a CPU {{{{ $value | printf "%.1f" }}}} % of the time '
        f"(threshold <threshold> %).{TOP_CPU}",
        action="Move some of the pods named in the description to other nodes. Raise CPU limits that throttle them.",
        unit="%",
        levels=(Level("warning", 25, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodePIDsHigh",
        meaning="Most of the kernel's process IDs or threads are in use. When all are in use, no program can start. "
        "Each thread uses one process ID. The limits are kernel.pid_max and kernel.threads-max.",
        expr=_pids("max_processes") + " >= <threshold> or " + _pids("max_threads") + " >= <threshold>",
        resource="pids",
        summary="{{ $labels.node }} has few process IDs left",
        description=f'{NODE} uses {{{{ $value | printf "%.1f" }}}} % of its process IDs or threads '
        "(threshold <threshold> %).",
        action="Run ps -eo nlwp,pid,comm --sort=-nlwp | head on the node to find the processes with the most threads.",
        unit="%",
        levels=(Level("warning", 80, "10m"), Level("critical", 95, "5m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeMemoryUsageHigh",
        meaning="Little memory is available without swapping (MemAvailable). Most caches count as available.",
        expr="metricat:node_memory_usage:percent{<selector>} >= <threshold>",
        resource="memory",
        summary="Memory usage on {{ $labels.node }} is high",
        description=f'Memory usage on {NODE} is {{{{ $value | printf "%.1f" }}}} % (threshold <threshold> %).'
        f"{TOP_MEMORY}",
        action="Check whether the memory of a process named in the description grows. Restart its pod, or set a memory "
        "limit for it.",
        unit="%",
        levels=(Level("warning", 85, "5m"), Level("critical", 95, "5m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeOOMKill",
        meaning="The kernel killed a process because memory ran out, or because a container reached its limit: the "
        "kernel has one counter for both. Critical: at least 90 % of the node's memory was in use at any time in the "
        "last 5 minutes. Info: it was not.",
        expr="",
        resource="oom",
        summary="The kernel killed a process on {{ $labels.node }} because memory ran out",
        description=f"On {NODE}, the kernel killed {plural('process', 'processes')} within 5 minutes "
        f"because memory ran out.{TOP_MEMORY}",
        action="Run kubectl get pods -A --field-selector spec.nodeName={{ $labels.node }} and look for restarts. "
        "Then look for OOMKilled in kubectl describe pod.",
        levels=(
            Level("info", None, "0s", f"{_OOM_KILLS} unless {_EXHAUSTED}"),
            Level("critical", None, "0s", f"{_OOM_KILLS} and {_EXHAUSTED}"),
        ),
    ),
    Alert(
        name="NodeMemoryMajorFaults",
        meaning="Memory pages are read from disk continuously, usually because memory is short.",
        expr="metricat:node_memory_major_faults:rate{<selector>} > <threshold>",
        resource="memory faults",
        summary="{{ $labels.node }} reads memory pages from disk continuously",
        description=f'{NODE} has {{{{ $value | printf "%.0f" }}}} major page faults a second (threshold <threshold>).'
        f"{TOP_MEMORY}",
        action="Free memory on the node: move the pods of the processes named in the description to other nodes.",
        unit="faults per second",
        levels=(Level("warning", 500, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeSwapUsageHigh",
        meaning="The swap space is nearly full. The alert fires only on nodes with swap space.",
        expr="metricat:node_swap_usage:percent{<selector>} >= <threshold>",
        resource="swap",
        summary="Swap usage on {{ $labels.node }} is high",
        description=f'Swap usage on {NODE} is {{{{ $value | printf "%.1f" }}}} % (threshold <threshold> %).'
        f"{TOP_MEMORY}",
        action="Check with rate(node_vmstat_pswpin[5m]) whether pages are swapped in. If so, move the pods of the "
        "processes named in the description to other nodes.",
        unit="%",
        levels=(Level("warning", 80, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodePressureMemory",
        meaning="All non-idle tasks wait for memory at the same time. The value is the share of time in which they do "
        "(pressure stall information, full).",
        expr="metricat:node_pressure_memory_stalled:percent{<selector>} > <threshold>",
        resource="memory pressure",
        summary="Tasks on {{ $labels.node }} stall because memory is short",
        description=f'On {NODE}, all non-idle tasks waited for memory {{{{ $value | printf "%.1f" }}}} % of the time '
        f"(threshold <threshold> %).{TOP_MEMORY}",
        action="Move a pod of the processes named in the description to another node now, before the kernel kills a "
        "process.",
        unit="%",
        levels=(Level("warning", 10, "10m"), Level("critical", 30, "5m")),
        keep_firing=True,
    ),
)
