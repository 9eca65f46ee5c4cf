"""The values and flags of node_exporter's chart, each with its field of a MonitoringTarget or the reason for none."""

UNNEEDED = {
    "image": "The chart of Metricat sets the image of the agents (image.agent).",
    "imagePullSecrets": "Set imagePullSecrets in the chart of Metricat.",
    "global": "Set global.imageRegistry and global.imagePullSecrets in the chart of Metricat.",
    "serviceAccount": "Metricat creates the ServiceAccount of the agents.",
    "rbac": "Agents need no permissions.",
    "securityContext": "Metricat sets the security context of the agents.",
    "containerSecurityContext": "Metricat sets the security context of the agents.",
    "podSecurityContext": "Metricat sets the security context of the agents.",
    "livenessProbe": "Metricat sets the probes of the agents.",
    "readinessProbe": "Metricat sets the probes of the agents.",
    "hostNetwork": "Agents use the network of their pod and read the network of the node from /proc.",
    "hostPID": "Metricat mounts /proc of the node.",
    "hostIPC": "Agents need no IPC namespace of the node.",
    "hostRootFsMount": "Metricat mounts the root filesystem of the node read-only.",
    "hostProcFsMount": "Metricat mounts /proc of the node.",
    "hostSysFsMount": "Metricat mounts /sys of the node.",
    "revisionHistoryLimit": "Metricat keeps 10 revisions of the DaemonSet.",
    "releaseLabel": "Metricat sets the labels in spec.monitor.labels.",
    "nameOverride": "The objects are named after the MonitoringTarget.",
    "fullnameOverride": "The objects are named after the MonitoringTarget.",
    "namespaceOverride": "The objects are in the namespace of the MonitoringTarget.",
    "networkPolicy": "Set agents.networkPolicy in the chart of Metricat.",
    "kubeVersion": "Metricat reads the version of the cluster.",
    "version": "The chart of Metricat sets the version of the agents.",
    "endpoints": "The operator selects the nodes by spec.nodeSelector.",
    "terminationGracePeriodSeconds": "Agents have a grace period of 10 seconds.",
}
"""Values of node_exporter's chart without a meaning for Metricat."""

LOST = {
    "affinity": "Use spec.nodeSelector or spec.pools.",
    "podAnnotations": "A MonitoringTarget cannot set annotations of agent pods.",
    "podLabels": "A MonitoringTarget cannot set labels of agent pods. To label series, set spec.agent.extraLabels.",
    "commonLabels": "Set commonLabels in the chart of Metricat for the operator's objects.",
    "kubeRBACProxy": "Protect the agents with spec.agent.web.",
    "tlsSecret": "Set spec.agent.web.tlsSecretName to a Secret with tls.crt and tls.key.",
    "sidecars": "Agents have no sidecars. Use a DaemonSet of your own.",
    "initContainers": "Agents have no init containers. Use a DaemonSet of your own.",
    "sidecarVolumeMount": "Agents have no sidecars. Use a DaemonSet of your own.",
    "sidecarHostVolumeMounts": "Agents have no sidecars. Use a DaemonSet of your own.",
    "configmaps": "Agents mount no ConfigMap.",
    "secrets": "Agents mount only the Secrets that spec.agent.web and the probes name.",
    "env": "Agents take no environment variables. Use the fields of spec.agent.",
    "extraManifests": "Apply these objects yourself, or set extraObjects in the chart of Metricat.",
    "dnsConfig": "Agents use the DNS of the cluster.",
    "verticalPodAutoscaler": "Set spec.agent.resources, or select the DaemonSet in a VerticalPodAutoscaler.",
    "prometheusRule": "Metricat has its own alerts. Set your own in spec.alerts.extraGroups.",
}
"""Values of node_exporter's chart that a MonitoringTarget cannot express, with the remedy."""

MONITOR = {
    "additionalLabels": "monitor.labels",
    "interval": "monitor.interval",
    "scrapeTimeout": "monitor.scrapeTimeout",
    "sampleLimit": "monitor.sampleLimit",
    "metricRelabelings": "monitor.metricRelabelings",
    "relabelings": "monitor.relabelings",
}
MONITOR_LOST = {
    **dict.fromkeys(("scheme", "tlsConfig", "basicAuth", "bearerTokenFile"), "Protect the agents with spec.agent.web."),
    **dict.fromkeys(
        ("targetLimit", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit", "proxyUrl", "podTargetLabels"),
        "A MonitoringTarget has no such setting of the ServiceMonitor.",
    ),
    "namespace": "The ServiceMonitor is in the namespace of the MonitoringTarget.",
    "selectorOverride": "Metricat sets the selector of the ServiceMonitor.",
}
MONITOR_UNNEEDED = {
    "jobLabel": "The job is spec.monitor.jobName, metricat by default: dashboards and rules select it.",
    "attachMetadata": "Metricat sets the label node.",
    "apiVersion": "Metricat uses monitoring.coreos.com/v1.",
}

PATTERNS = {
    "filesystem.mount-points-exclude": "filesystem.excludeMountPoints",
    "filesystem.mount-points-include": "filesystem.includeMountPoints",
    "filesystem.ignored-mount-points": "filesystem.excludeMountPoints",
    "filesystem.fs-types-exclude": "filesystem.excludeFSTypes",
    "filesystem.fs-types-include": "filesystem.includeFSTypes",
    "filesystem.ignored-fs-types": "filesystem.excludeFSTypes",
    "diskstats.device-exclude": "diskstats.excludeDevices",
    "diskstats.device-include": "diskstats.includeDevices",
    "diskstats.ignored-devices": "diskstats.excludeDevices",
    "netdev.device-exclude": "netdev.excludeDevices",
    "netdev.device-include": "netdev.includeDevices",
    "netdev.device-blacklist": "netdev.excludeDevices",
    "netdev.device-whitelist": "netdev.includeDevices",
}
"""node_exporter's flags `--collector.FLAG` with a pattern, and their field below spec.agent.collectors."""

ABSENT = frozenset(
    {
        *("boottime", "buddyinfo", "cgroups", "cpu_vulnerabilities", "devstat", "drbd", "drm"),
        *("ethtool", "exec", "interrupts", "ksmd", "lnstat", "logind", "meminfo_numa"),
        *("mountstats", "netisr", "network_route", "ntp", "nvmesubsystem", "pcidevice", "perf"),
        *("qdisc", "qdisk", "runit", "slabinfo", "softirqs", "supervisord", "swap"),
        *("sysctl", "systemd", "thermal", "wifi", "xfrm", "zoneinfo"),
    }
)
"""Collectors of node_exporter that the agent lacks."""

FLAGS_UNNEEDED = {
    **dict.fromkeys(("path.procfs", "path.sysfs", "path.rootfs", "path.udev.data"), "Metricat mounts these paths."),
    "web.disable-exporter-metrics": "The agent exposes few series about itself.",
    "web.max-requests": "The agent limits requests itself.",
    "runtime.gomaxprocs": "The agent has no Go runtime.",
    "log.format": "Logs of agents are text.",
    "collector.filesystem.mount-timeout": "The agent has its own time limits for mounts.",
    "collector.filesystem.stat-workers": "The agent has its own time limits for mounts.",
    "collector.netclass.ignore-invalid-speed": "The agent never exposes an unknown link speed.",
    "collector.cpu.guest": "The agent always exposes guest time.",
    **dict.fromkeys(
        ("collector.netdev.netlink", "collector.netclass.netlink", "collector.arp.netlink"),
        "The agent reads the files of the kernel.",
    ),
}
FLAGS_LOST = {
    "web.config.file": "Protect the agents with spec.agent.web.",
    "web.telemetry-path": "Agents serve /metrics.",
    "web.systemd-socket": "Agents open their sockets themselves.",
    "log.level": "Agents log at the level info.",
    "collector.disable-defaults": "Disable collectors one by one in spec.agent.collectors.",
    "collector.ntp.server": "The agent has no collector ntp. The collector timex reports the offset of the clock.",
}
