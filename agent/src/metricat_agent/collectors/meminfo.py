"""Memory, from ``/proc/meminfo`` (``man 5 proc``; kernel: filesystems/proc.rst 1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, name_part, parse_part, whole
from metricat_agent.exposition.model import Family, Metric, Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_KIB = " kB"
MEANINGS = {
    "MemTotal": "Memory usable by the kernel and programs",
    "MemFree": "Free memory",
    "MemAvailable": "Memory available to new programs without swapping, as estimated by the kernel",
    "Buffers": "Memory that caches blocks of disks",
    "Cached": "Memory that caches contents of files, including tmpfs and shared memory",
    "SwapCached": "Memory whose content is also in swap space",
    "Active": "Memory of programs and files that was used recently",
    "Inactive": "Memory of programs and files that was not used recently; the kernel reclaims it first",
    "Active(anon)": "Memory of programs that was used recently",
    "Inactive(anon)": "Memory of programs that was not used recently",
    "Active(file)": "Memory that caches files and was used recently",
    "Inactive(file)": "Memory that caches files and was not used recently",
    "Unevictable": "Memory that the kernel cannot reclaim",
    "Mlocked": "Memory that programs locked with mlock(2)",
    "SwapTotal": "Size of the swap space",
    "SwapFree": "Free swap space",
    "Zswap": "Memory that holds the compressed pages of zswap",
    "Zswapped": "Size before compression of the pages in zswap",
    "Dirty": "Memory waiting to be written to disk",
    "Writeback": "Memory being written to disk",
    "AnonPages": "Memory of programs that is not backed by files (anonymous pages)",
    "Mapped": "Cached contents of files that programs have mapped",
    "Shmem": "Memory shared between programs, including tmpfs",
    "KReclaimable": "Memory of the kernel that it can reclaim",
    "Slab": "Memory of the kernel's data structures (slabs)",
    "SReclaimable": "Memory of the kernel's data structures (slabs) that it can reclaim",
    "SUnreclaim": "Memory of the kernel's data structures (slabs) that it cannot reclaim",
    "KernelStack": "Memory of the kernel's stacks of all tasks",
    "PageTables": "Memory of page tables",
    "SecPageTables": "Memory of page tables of virtual machines and IOMMUs",
    "NFS_Unstable": "Data sent to an NFS server and not yet written to its disk",
    "Bounce": "Memory of bounce buffers for old devices",
    "WritebackTmp": "Memory of buffers that FUSE uses to write to disk",
    "CommitLimit": "Memory that programs may reserve at most, if the kernel forbids overcommit",
    "Committed_AS": "Memory that programs have reserved, used or not",
    "VmallocTotal": "Size of the kernel's address space for vmalloc",
    "VmallocUsed": "Used part of the kernel's address space for vmalloc",
    "VmallocChunk": "Size of the largest free block in the kernel's address space for vmalloc",
    "Percpu": "Memory of the kernel's per-CPU data",
    "HardwareCorrupted": "Memory taken out of use because of hardware errors",
    "AnonHugePages": "Memory of programs in transparent huge pages",
    "ShmemHugePages": "Shared memory and tmpfs in huge pages",
    "ShmemPmdMapped": "Shared memory and tmpfs mapped with huge pages",
    "FileHugePages": "Cached contents of files in huge pages",
    "FilePmdMapped": "Cached contents of files mapped with huge pages",
    "Unaccepted": "Memory that a confidential virtual machine has not accepted yet",
    "Balloon": "Memory that a virtual machine has returned to the hypervisor",
    "CmaTotal": "Memory reserved for the contiguous memory allocator (CMA)",
    "CmaFree": "Free memory of the contiguous memory allocator (CMA)",
    "GPUActive": "Memory that graphics drivers use for running jobs",
    "GPUReclaim": "Memory of graphics drivers that the kernel can reclaim",
    "Hugepagesize": "Size of one huge page of the default size",
    "Hugetlb": "Memory reserved for huge pages of all sizes",
    "DirectMap4k": "Memory mapped by the kernel in pages of 4 KiB",
    "DirectMap2M": "Memory mapped by the kernel in pages of 2 MiB",
    "DirectMap4M": "Memory mapped by the kernel in pages of 4 MiB",
    "DirectMap1G": "Memory mapped by the kernel in pages of 1 GiB",
}
COUNTS = {
    "HugePages_Total": "Number of huge pages of the default size.",
    "HugePages_Free": "Number of free huge pages of the default size.",
    "HugePages_Rsvd": "Huge pages of the default size that are reserved and not yet used.",
    "HugePages_Surp": "Huge pages of the default size above the configured number.",
}


def metric_name(field: str, unit: str) -> str:
    """Return a field's metric name. ``Active(anon)`` in kB becomes ``node_memory_Active_anon_bytes``."""
    plain = name_part(field.replace(")", ""))
    return f"node_memory_{plain}_bytes" if unit else f"node_memory_{plain}"


FAMILIES = {
    **{field: gauge(metric_name(field, "kB"), f"{text}, in bytes.") for field, text in MEANINGS.items()},
    **{field: gauge(metric_name(field, ""), text) for field, text in COUNTS.items()},
}


def family_of(field: str, value: str) -> Family:
    """Return a field's family: a declared one, or a new one for a field of a newer kernel."""
    unit = _KIB if value.endswith(_KIB) else ""
    return FAMILIES.get(field) or gauge(
        metric_name(field, unit), f"Value of {field} in /proc/meminfo{', in bytes' if unit else ''}."
    )


def read(host: Host) -> str:
    """Return the text of /proc/meminfo."""
    return host.proc("meminfo")


_SHOWN = 40


def parse(text: str, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the field of every line ``NAME: NUMBER``, with or without the unit `` kB`` (1024 bytes).

    Raise ValueError if no line can be parsed.
    """
    lines = lines_of(text)
    try:
        return [
            (
                FAMILIES.get(field) or family_of(field, value),
                [((), int(value[:-3]) * 1024 if value[-3:] == _KIB else int(value))],
            )
            for field, _, value in [line.partition(":") for line in lines]
        ]
    except ValueError:
        found = [parse_part(skips, f"meminfo {line[:_SHOWN]}", parse_line, line) for line in lines]
    if found.count(None) == len(found):
        raise ValueError("no line has a name and a number")
    return [metric for metric in found if metric is not None]


def parse_line(line: str) -> Metric:
    """Return the metric of a line ``NAME: NUMBER [kB]``."""
    field, _, value = line.partition(":")
    number = whole(value.removesuffix(_KIB)) * (1024 if value.endswith(_KIB) else 1)
    return single(FAMILIES.get(field) or family_of(field, value), number)


class Memory(Collector):
    """Use of memory and swap."""

    name = "meminfo"
    summary = "memory and swap, field by field"
    essential = True
    families = tuple(FAMILIES.values())

    def collect(self) -> Metrics:
        """Return every field of /proc/meminfo, sizes in bytes."""
        return self.parse_parts_if_changed(read(self.host), parse)
