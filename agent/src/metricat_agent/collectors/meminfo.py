"""Memory, from ``/proc/meminfo`` (``man 5 proc``; kernel: filesystems/proc.rst 1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, gauge

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_KIB = " kB"
MEANINGS = {
    "MemTotal": "usable by the kernel and programs",
    "MemFree": "that is free",
    "MemAvailable": "available to new programs without swapping, as estimated by the kernel",
    "Buffers": "that caches blocks of raw disks",
    "Cached": "that caches contents of files, including tmpfs and shared memory",
    "SwapCached": "that is also in swap",
    "Active": "used recently",
    "Inactive": "not used recently, reclaimed first",
    "Active(anon)": "of programs, used recently",
    "Inactive(anon)": "of programs, not used recently",
    "Active(file)": "of files, used recently",
    "Inactive(file)": "of files, not used recently",
    "Unevictable": "that cannot be reclaimed",
    "Mlocked": "locked by programs",
    "SwapTotal": "of swap space",
    "SwapFree": "of swap space that is free",
    "Zswap": "that holds the compressed pages of zswap",
    "Zswapped": "of pages in zswap, before compression",
    "Dirty": "waiting to be written to disk",
    "Writeback": "being written to disk",
    "AnonPages": "of programs, mapped",
    "Mapped": "of files, mapped by programs",
    "Shmem": "shared between programs, including tmpfs",
    "KReclaimable": "of the kernel that is reclaimable",
    "Slab": "of the kernel's data structures",
    "SReclaimable": "of the kernel's data structures that is reclaimable",
    "SUnreclaim": "of the kernel's data structures that is not reclaimable",
    "KernelStack": "of the kernel's stacks",
    "PageTables": "of page tables",
    "SecPageTables": "of page tables of virtual machines and IOMMUs",
    "NFS_Unstable": "sent to an NFS server, not yet on its disk",
    "Bounce": "of bounce buffers for old devices",
    "WritebackTmp": "of FUSE that is being written",
    "CommitLimit": "that can be committed to programs under strict overcommit",
    "Committed_AS": "committed to programs",
    "VmallocTotal": "of the address space for vmalloc",
    "VmallocUsed": "of vmalloc that is used",
    "VmallocChunk": "of the largest free block of vmalloc",
    "Percpu": "of the kernel's per-CPU data",
    "HardwareCorrupted": "taken out of use because of hardware errors",
    "AnonHugePages": "of programs, in transparent huge pages",
    "ShmemHugePages": "shared or of tmpfs, in huge pages",
    "ShmemPmdMapped": "shared or of tmpfs, mapped with huge pages",
    "FileHugePages": "of files, in huge pages",
    "FilePmdMapped": "of files, mapped with huge pages",
    "Unaccepted": "not yet accepted by a confidential guest",
    "Balloon": "returned to the hypervisor",
    "CmaTotal": "reserved for the contiguous memory allocator",
    "CmaFree": "of the contiguous memory allocator that is free",
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
    "HugePages_Free": "Free huge pages of the default size.",
    "HugePages_Rsvd": "Huge pages of the default size that are reserved and not yet used.",
    "HugePages_Surp": "Huge pages of the default size above the configured number.",
}


def metric_name(field: str, unit: str) -> str:
    """Return a field's metric name. ``Active(anon)`` in kB becomes ``node_memory_Active_anon_bytes``."""
    plain = field.replace("(", "_").replace(")", "").replace("-", "_").replace(" ", "_")
    return f"node_memory_{plain}_bytes" if unit else f"node_memory_{plain}"


FAMILIES = {
    **{field: gauge(metric_name(field, "kB"), f"Memory {text}, in bytes.") for field, text in MEANINGS.items()},
    **{field: gauge(metric_name(field, ""), text) for field, text in COUNTS.items()},
}


def family_of(field: str, value: str) -> Family:
    """Return a field's family: declared, or made for a field of a newer kernel."""
    unit = _KIB if value.endswith(_KIB) else ""
    return FAMILIES.get(field) or gauge(metric_name(field, unit), f"The field {field} of /proc/meminfo.")


def read(host: Host) -> str:
    """Read the fields."""
    return host.proc("meminfo")


def parse(text: str) -> Metrics:
    """Parse every line ``NAME: NUMBER``, with or without the unit `` kB`` (1024 bytes)."""
    return [
        (
            FAMILIES.get(field) or family_of(field, value),
            [((), int(value[:-3]) * 1024 if value[-3:] == _KIB else int(value))],
        )
        for field, _, value in [line.partition(":") for line in text.splitlines()]
    ]


class Memory(Collector):
    """Use of memory and swap."""

    name = "meminfo"
    summary = "memory and swap, field by field"
    essential = True
    families = tuple(FAMILIES.values())

    def collect(self) -> Metrics:
        """Read the files and return their metrics."""
        return self.parse_if_changed(read(self.host), parse)
