"""/proc/cpuinfo of several architectures: each has its own names and its own layout."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from metricat_agent.collectors import Filter, cpuinfo

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz
stepping\t: 4
microcode\t: 0x2006e05
cpu MHz\t\t: 2100.000
cache size\t: 22528 KB
physical id\t: 0
core id\t\t: 3
flags\t\t: fpu aes
bugs\t\t: meltdown

processor\t: 8
vendor_id\t: GenuineIntel
cpu MHz\t\t: unknown
physical id\t: 1
core id\t\t: 3

"""
S390 = """vendor_id       : IBM/S390
# processors    : 2
bogomips per cpu: 3033.00
max thread id   : 0
features\t: esan3 zarch
facilities      : 0 1 2
cache0          : level=1 type=Data scope=Private size=128K line_size=256 associativity=8
processor 0: version = FF,  identification = 2733E8,  machine = 2964
processor 1: version = FF,  identification = 2733E8,  machine = 2964

cpu number      : 0
physical id     : 2
core id         : 7
cpu MHz dynamic : 4800
cpu MHz static  : 5000

cpu number      : 1
physical id     : 2
core id         : 8
cpu MHz static  : 5000

"""
S390_BEFORE_LINUX_4 = S390.partition("\n\n")[0]
POWER = """processor\t: 0
cpu\t\t: POWER8 (raw), altivec supported
clock\t\t: 3425.000000MHz
revision\t: 2.1 (pvr 004b 0201)

processor\t: 8
cpu\t\t: POWER8 (raw), altivec supported
clock\t\t: 2061.000000MHz
revision\t: 2.1 (pvr 004b 0201)

timebase\t: 512000000
platform\t: PowerNV
model\t\t: 8247-42L
machine\t\t: PowerNV 8247-42L
firmware\t: OPAL
"""
ARM64 = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

processor\t: 1
BogoMIPS\t: 243.75
Features\t: fp asimd
CPU implementer\t: 0x51
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 0

Revision\t: c03114
Serial\t\t: 10000000abcdef01
Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""
ARM64_BEFORE_LINUX_3_19 = """Processor\t: AArch64 Processor rev 1 (aarch64)
processor\t: 0
processor\t: 1
Features\t: fp asimd
CPU implementer\t: 0x50
CPU architecture: AArch64
CPU part\t: 0x000
CPU revision\t: 1

Hardware\t: APM X-Gene
"""
ARM32 = """Processor\t: ARMv7 Processor rev 4 (v7l)
processor\t: 0
BogoMIPS\t: 38.40

processor\t: 1
BogoMIPS\t: 38.40

Features\t: half thumb neon
CPU implementer\t: 0x41
CPU architecture: 7
CPU variant\t: 0x0
CPU part\t: 0xc07
CPU revision\t: 4

Hardware\t: BCM2709
Revision\t: a01041
Serial\t\t: 00000000deadbeef
"""
ARM32_SINGLE = """Processor\t: ARM926EJ-S rev 5 (v5l)
BogoMIPS\t: 266.24
Features\t: swp half
CPU implementer\t: 0x41
CPU architecture: 5TEJ
CPU part\t: 0x926
CPU revision\t: 5

Hardware\t: ARM-Versatile PB
Revision\t: 0000
"""
RISCV = """processor\t: 0
hart\t\t: 2
isa\t\t: rv64imafdc
mmu\t\t: sv39
uarch\t\t: sifive,u74-mc
mvendorid\t: 0x489
marchid\t\t: 0x8000000000000007
mimpid\t\t: 0x20181004

processor\t: 1
hart\t\t: 1
isa\t\t: rv64imafdc
mmu\t\t: sv39
"""
RISCV_BEFORE_LINUX_5_1 = """hart\t: 1
isa\t: rv64imafdc
mmu\t: sv39
uarch\t: sifive,u54-mc

hart\t: 2
isa\t: rv64imafdc
"""
MIPS = """system type\t\t: MIPS Malta
machine\t\t\t: mti,malta
processor\t\t: 0
cpu model\t\t: MIPS I6400 V0.1  FPU V32.1
BogoMIPS\t\t: 1196.03
package\t\t\t: 0
core\t\t\t: 0

processor\t\t: 1
cpu model\t\t: MIPS I6400 V0.1  FPU V32.1
package\t\t\t: 0
core\t\t\t: 1
"""
LOONGARCH = """system type\t\t: generic-loongson-machine

processor\t\t: 0
package\t\t\t: 0
core\t\t\t: 1
CPU Family\t\t: Loongson-64bit
Model Name\t\t: Loongson-3A5000-HV
CPU Revision\t\t: 0x10
FPU Revision\t\t: 0x00
CPU MHz\t\t\t: 2500.00
BogoMIPS\t\t: 5000.00
Features\t\t: cpucfg lam fpu

"""
SPARC = """cpu\t\t: UltraSparc T2 (Niagara2)
ncpus active\t: 2
Cpu0ClkTck\t: 0000000045b6d4c0
CPU0:\t\tonline
"""


class Cpu(NamedTuple):
    """The labels of one CPU, those that are compared."""

    cpu: str
    package: str = ""
    core: str = ""
    vendor: str = ""
    family: str = ""
    model: str = ""
    model_name: str = ""
    stepping: str = ""


CASES: dict[str, tuple[str, list[Cpu], dict[str, float], set[str]]] = {
    "x86": (
        X86,
        [
            Cpu("0", "0", "3", "GenuineIntel", "6", "85", "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz", "4"),
            Cpu("8", "1", "3", "GenuineIntel"),
        ],
        {"0": 2.1e9},
        {"fpu", "aes"},
    ),
    "s390": (
        S390,
        [
            Cpu("0", "2", "7", "IBM/S390", model="2964", stepping="FF"),
            Cpu("1", "2", "8", "IBM/S390", model="2964", stepping="FF"),
        ],
        {"0": 4.8e9, "1": 5e9},
        {"esan3", "zarch"},
    ),
    "old s390": (
        S390_BEFORE_LINUX_4,
        [Cpu(number, vendor="IBM/S390", model="2964", stepping="FF") for number in "01"],
        {},
        {"esan3", "zarch"},
    ),
    "power": (
        POWER,
        [Cpu(number, model_name="POWER8 (raw), altivec supported", stepping="2.1 (pvr 004b 0201)") for number in "08"],
        {"0": 3.425e9, "8": 2.061e9},
        set(),
    ),
    "arm64": (
        ARM64,
        [
            Cpu("0", vendor="0x41", family="8", model="0xd0c", stepping="1"),
            Cpu("1", vendor="0x51", family="8", model="0xd40", stepping="0"),
        ],
        {},
        {"fp", "asimd", "evtstrm", "aes"},
    ),
    "old arm64": (
        ARM64_BEFORE_LINUX_3_19,
        [Cpu(number, "", "", "0x50", "AArch64", "0x000", "AArch64 Processor rev 1 (aarch64)", "1") for number in "01"],
        {},
        {"fp", "asimd"},
    ),
    "arm32": (
        ARM32,
        [Cpu(number, "", "", "0x41", "7", "0xc07", "ARMv7 Processor rev 4 (v7l)", "4") for number in "01"],
        {},
        {"half", "thumb", "neon"},
    ),
    "one arm32": (
        ARM32_SINGLE,
        [Cpu("0", "", "", "0x41", "5TEJ", "0x926", "ARM926EJ-S rev 5 (v5l)", "5")],
        {},
        {"swp", "half"},
    ),
    "risc-v": (
        RISCV,
        [
            Cpu("0", "", "2", "0x489", "", "0x8000000000000007", "sifive,u74-mc", "0x20181004"),
            Cpu("1", "", "1", model_name="rv64imafdc"),
        ],
        {},
        set(),
    ),
    "old risc-v": (
        RISCV_BEFORE_LINUX_5_1,
        [Cpu("1", "", "1", model_name="sifive,u54-mc"), Cpu("2", "", "2", model_name="rv64imafdc")],
        {},
        set(),
    ),
    "mips": (
        MIPS,
        [Cpu(number, "0", number, model_name="MIPS I6400 V0.1  FPU V32.1") for number in "01"],
        {},
        set(),
    ),
    "loongarch": (
        LOONGARCH,
        [Cpu("0", "0", "1", "", "Loongson-64bit", "", "Loongson-3A5000-HV", "0x10")],
        {"0": 2.5e9},
        {"cpucfg", "lam", "fpu"},
    ),
    "sparc": (SPARC, [], {}, set()),
    "empty": ("", [], {}, set()),
}


@pytest.mark.parametrize("name", CASES)
def test_each_cpu_has_its_properties_and_frequency(name: str) -> None:
    text, expected, hertz, flags = CASES[name]
    found = {family.name: samples for family, samples in cpuinfo.parse(text, Filter(), Filter())}
    labeled = [dict(zip(cpuinfo.INFO.labels, labels, strict=True)) for labels, _ in found["node_cpu_info"]]
    assert [Cpu(**{label: labels[label] for label in Cpu._fields}) for labels in labeled] == expected
    assert {labels[-1]: value for labels, value in found["node_cpu_frequency_hertz"]} == hertz
    assert {labels[0] for labels, _ in found["node_cpu_flag_info"]} == flags


def test_every_cpu_has_one_series() -> None:
    text = X86 + X86 + "processor\t: 8\nflags\t: fpu fpu\n"
    for _, samples in cpuinfo.parse(text, Filter(), Filter()):
        assert len(samples) == len(dict(samples))


def test_frequency_is_only_exposed_on_request() -> None:
    metrics = cpuinfo.parse(POWER, Filter(), Filter(include=re.compile("(?!)")), hertz=False)
    assert "node_cpu_frequency_hertz" not in {family.name for family, _ in metrics}
