"""Memory, from ``/proc/meminfo`` (``man 5 proc``; kernel: filesystems/proc.rst 1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, gauge

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_KIB = " kB"
MEANINGS = {
    "MemTotal": "usable by the kernel and by programs",
    "MemFree": "used for nothing at all",
    "MemAvailable": "that new programs could have without swapping, as the kernel estimates",
    "Buffers": "holding blocks of raw disks",
    "Cached": "holding contents of files, tmpfs and shared memory included",
    "SwapCached": "in swap and in memory at once",
    "Active": "used lately",
    "Inactive": "not used lately, the first to be reclaimed",
    "Active(anon)": "of programs, used lately",
    "Inactive(anon)": "of programs, not used lately",
    "Active(file)": "of files, used lately",
    "Inactive(file)": "of files, not used lately",
    "Unevictable": "that cannot be reclaimed",
    "Mlocked": "locked by programs",
    "SwapTotal": "of swap space",
    "SwapFree": "of swap space not used",
    "Zswap": "holding compressed pages of zswap",
    "Zswapped": "of pages compressed by zswap, their size before",
    "Dirty": "waiting to be written to disk",
    "Writeback": "being written to disk",
    "AnonPages": "of programs, mapped",
    "Mapped": "of files, mapped by programs",
    "Shmem": "shared between programs, and tmpfs",
    "KReclaimable": "of the kernel, reclaimable",
    "Slab": "of the kernel's data structures",
    "SReclaimable": "of the kernel's data structures, reclaimable",
    "SUnreclaim": "of the kernel's data structures, not reclaimable",
    "KernelStack": "of the kernel's stacks",
    "PageTables": "of page tables",
    "SecPageTables": "of page tables of virtual machines and IOMMUs",
    "NFS_Unstable": "sent to an NFS server and not yet on its disk",
    "Bounce": "of bounce buffers for old devices",
    "WritebackTmp": "of FUSE, being written",
    "CommitLimit": "that may be promised to programs under strict overcommit",
    "Committed_AS": "promised to programs",
    "VmallocTotal": "of addresses for vmalloc",
    "VmallocUsed": "of vmalloc in use",
    "VmallocChunk": "of the greatest free part of vmalloc",
    "Percpu": "of the kernel, one copy for each CPU",
    "HardwareCorrupted": "found broken by the hardware and set aside",
    "AnonHugePages": "of programs, in transparent huge pages",
    "ShmemHugePages": "shared, in huge pages",
    "ShmemPmdMapped": "shared, mapped in huge pages",
    "FileHugePages": "of files, in huge pages",
    "FilePmdMapped": "of files, mapped in huge pages",
    "Unaccepted": "not yet accepted by a confidential guest",
    "Balloon": "given back to the hypervisor",
    "CmaTotal": "kept for the contiguous memory allocator",
    "CmaFree": "of the contiguous memory allocator, free",
    "GPUActive": "held by graphics drivers for running jobs",
    "GPUReclaim": "held by graphics drivers, reclaimable",
    "Hugepagesize": "of one huge page of the default size",
    "Hugetlb": "of huge pages of all sizes",
    "DirectMap4k": "mapped by the kernel in pages of 4 KiB",
    "DirectMap2M": "mapped by the kernel in pages of 2 MiB",
    "DirectMap4M": "mapped by the kernel in pages of 4 MiB",
    "DirectMap1G": "mapped by the kernel in pages of 1 GiB",
}
COUNTS = {
    "HugePages_Total": "Huge pages of the default size.",
    "HugePages_Free": "Huge pages of the default size that nobody uses.",
    "HugePages_Rsvd": "Huge pages of the default size promised and not yet used.",
    "HugePages_Surp": "Huge pages of the default size beyond the number set.",
}


def metric_name(field: str, unit: str) -> str:
    """Return a field's metric name: ``Active(anon)`` and kB give ``node_memory_Active_anon_bytes``."""
    plain = field.replace("(", "_").replace(")", "").replace("-", "_").replace(" ", "_")
    return f"node_memory_{plain}_bytes" if unit else f"node_memory_{plain}"


FAMILIES = {
    **{field: gauge(metric_name(field, "kB"), f"Memory {text}, in bytes.") for field, text in MEANINGS.items()},
    **{field: gauge(metric_name(field, ""), text) for field, text in COUNTS.items()},
}


def family_of(field: str, value: str) -> Family:
    """Return a field's family: declared, or made for a field of a kernel newer than this list."""
    unit = _KIB if value.endswith(_KIB) else ""
    return FAMILIES.get(field) or gauge(metric_name(field, unit), f"The field {field} of /proc/meminfo.")


def read(host: Host) -> str:
    """Read the fields."""
    return host.proc("meminfo")


def parse(text: str) -> Metrics:
    """Take every line, ``NAME: NUMBER`` with or without `` kB``, which are 1024 bytes."""
    return [
        (
            FAMILIES.get(field) or family_of(field, value),
            [((), int(value[:-3]) * 1024 if value[-3:] == _KIB else int(value))],
        )
        for field, _, value in [line.partition(":") for line in text.splitlines()]
    ]


class Memory(Collector):
    """What memory is used for."""

    name = "meminfo"
    summary = "memory and swap, field by field"
    essential = True
    families = tuple(FAMILIES.values())

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
