"""Every collector there is, by name; nothing is found by looking around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors.agent import Agent
from metricat_agent.collectors.cpu import Cpu
from metricat_agent.collectors.diskstats import Disks
from metricat_agent.collectors.filefd import FileDescriptors
from metricat_agent.collectors.filesystem import FileSystems
from metricat_agent.collectors.loadavg import LoadAverage
from metricat_agent.collectors.meminfo import Memory
from metricat_agent.collectors.netclass import NetworkClass
from metricat_agent.collectors.netdev import NetworkDevices
from metricat_agent.collectors.stat import Stat
from metricat_agent.collectors.time import Time
from metricat_agent.collectors.uname import Uname

if TYPE_CHECKING:
    from metricat_agent.collectors import Collector

COLLECTORS: dict[str, type[Collector]] = {
    collector.name: collector
    for collector in (
        Agent,
        Cpu,
        Disks,
        FileDescriptors,
        FileSystems,
        LoadAverage,
        Memory,
        NetworkClass,
        NetworkDevices,
        Stat,
        Time,
        Uname,
    )
}
