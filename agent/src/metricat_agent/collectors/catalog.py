"""All collectors for Linux by name. The list is explicit; modules are not discovered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors.agent import Agent
from metricat_agent.collectors.arp import Arp
from metricat_agent.collectors.bcache import Bcache
from metricat_agent.collectors.bcachefs import Bcachefs
from metricat_agent.collectors.bonding import Bonds
from metricat_agent.collectors.btrfs import Btrfs
from metricat_agent.collectors.conntrack import ConnectionTracking
from metricat_agent.collectors.cpu import Cpu
from metricat_agent.collectors.cpufreq import CpuFrequency
from metricat_agent.collectors.diskstats import Disks
from metricat_agent.collectors.dmi import Dmi
from metricat_agent.collectors.dmmultipath import Multipath
from metricat_agent.collectors.edac import MemoryErrors
from metricat_agent.collectors.fibrechannel import FibreChannel
from metricat_agent.collectors.filefd import FileDescriptors
from metricat_agent.collectors.filesystem import Filesystems
from metricat_agent.collectors.hwmon import HardwareSensors
from metricat_agent.collectors.infiniband import InfiniBand
from metricat_agent.collectors.ipvs import VirtualServers
from metricat_agent.collectors.kernel import Entropy, KernelHung, SeLinux
from metricat_agent.collectors.loadavg import LoadAverage
from metricat_agent.collectors.mdadm import SoftwareRaids
from metricat_agent.collectors.meminfo import Memory
from metricat_agent.collectors.netclass import NetworkClass
from metricat_agent.collectors.netdev import NetworkDevices
from metricat_agent.collectors.netstat import NetworkStatistics
from metricat_agent.collectors.nfs import NfsClient, NfsServer
from metricat_agent.collectors.nvme import Nvme
from metricat_agent.collectors.os import OperatingSystem
from metricat_agent.collectors.powersupplyclass import PowerSupplies
from metricat_agent.collectors.pressure import Pressure
from metricat_agent.collectors.probe import Probe
from metricat_agent.collectors.processes import Processes
from metricat_agent.collectors.rapl import Energy
from metricat_agent.collectors.schedstat import Scheduler
from metricat_agent.collectors.sockstat import Sockets
from metricat_agent.collectors.softnet import SoftNet
from metricat_agent.collectors.stat import Stat
from metricat_agent.collectors.tapestats import TapeDrives
from metricat_agent.collectors.tcpstat import TcpStates
from metricat_agent.collectors.textfile import TextFiles
from metricat_agent.collectors.thermal_zone import ThermalZones
from metricat_agent.collectors.time import Time
from metricat_agent.collectors.timex import Timex
from metricat_agent.collectors.udp_queues import UdpQueues
from metricat_agent.collectors.uname import Uname
from metricat_agent.collectors.vmstat import VirtualMemory
from metricat_agent.collectors.watchdog import Watchdogs
from metricat_agent.collectors.xfs import Xfs
from metricat_agent.collectors.zfs import Zfs

if TYPE_CHECKING:
    from metricat_agent.collectors import Collector

COLLECTORS: dict[str, type[Collector]] = {
    collector.name: collector
    for collector in (
        Agent,
        Arp,
        Bcache,
        Bcachefs,
        Bonds,
        Btrfs,
        ConnectionTracking,
        Cpu,
        CpuFrequency,
        Disks,
        MemoryErrors,
        Multipath,
        FileDescriptors,
        FibreChannel,
        Filesystems,
        HardwareSensors,
        InfiniBand,
        VirtualServers,
        Dmi,
        Nvme,
        Entropy,
        KernelHung,
        SeLinux,
        LoadAverage,
        SoftwareRaids,
        Memory,
        NetworkClass,
        NetworkDevices,
        NetworkStatistics,
        NfsClient,
        NfsServer,
        OperatingSystem,
        PowerSupplies,
        Pressure,
        Probe,
        Processes,
        Energy,
        Scheduler,
        Sockets,
        SoftNet,
        Stat,
        TapeDrives,
        TcpStates,
        ThermalZones,
        Time,
        Timex,
        UdpQueues,
        Uname,
        VirtualMemory,
        Watchdogs,
        Xfs,
        Zfs,
        TextFiles,
    )
}


def collectors_for(platform: str) -> dict[str, type[Collector]]:
    """Return the collectors for a platform, a value of `sys.platform`."""
    if platform == "linux":
        return COLLECTORS
    from metricat_agent.collectors.portable import PORTABLE  # noqa: PLC0415 -- not on Linux

    return PORTABLE
