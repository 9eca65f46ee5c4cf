"""The agent splits and converts text of the kernel, of files and of clients by ASCII rules, not by Python's.

Python's str methods also accept blanks and digits such as U+0085, U+2028 and U+0663, and int() and float() also accept
`1_000`. Names of devices and labels contain such characters, and no other program reads such numbers.
"""

from __future__ import annotations

import ast
import unicodedata
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Filter
from metricat_agent.collectors.arp import parse as parse_arp
from metricat_agent.collectors.diskstats import rows
from metricat_agent.collectors.os import variables
from metricat_agent.host.ascii_text import BLANKS, is_digits, words_of
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT = ROOT / "agent/src/metricat_agent"
ALWAYS = {"splitlines", "isdigit", "isdecimal", "isnumeric", "isspace", "isalnum", "isalpha"}
WITHOUT_ARGUMENTS = {"split", "rsplit", "strip", "lstrip", "rstrip"}
NUMBERS_ONLY = "tables of numbers and of the kernel's own words"
ALLOWED = {
    "host/ascii_text.py": "the functions to use",
    "collectors/agent.py": NUMBERS_ONLY,
    "collectors/conntrack.py": NUMBERS_ONLY,
    "collectors/cpu.py": NUMBERS_ONLY,
    "collectors/cpufreq.py": "names of governors, which are compiled into the kernel",
    "collectors/cpuinfo.py": "flags, which are compiled into the kernel",
    "collectors/fields.py": NUMBERS_ONLY,
    "collectors/filefd.py": NUMBERS_ONLY,
    "collectors/ipvs.py": NUMBERS_ONLY,
    "collectors/loadavg.py": NUMBERS_ONLY,
    "collectors/netdev.py": "numbers after the name of a device",
    "collectors/netstat.py": NUMBERS_ONLY,
    "collectors/nfs.py": "words of an option",
    "collectors/schedstat.py": NUMBERS_ONLY,
    "collectors/sockstat.py": NUMBERS_ONLY,
    "collectors/softnet.py": NUMBERS_ONLY,
    "collectors/stat.py": NUMBERS_ONLY,
    "collectors/tcpstat.py": NUMBERS_ONLY,
    "collectors/time.py": "names of clock sources, which are compiled into the kernel",
    "collectors/udp_queues.py": NUMBERS_ONLY,
    "collectors/xfs.py": NUMBERS_ONLY,
    "config/node_exporter_flags.py": "a table in the code, and lines of a flag file",
    "host/mount_prober.py": "numbers of the agent's own child process",
    "host/processes.py": "numbers after the name of a program",
}
"""Modules that may use str.split() and similar methods, because their text has no names from outside."""


def python_text_calls(source: str) -> Iterator[int]:
    """Yield the lines of calls that use Python's idea of blanks, lines and digits."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        first = node.args[0] if node.args else None
        without = first is None or (isinstance(first, ast.Constant) and first.value is None)
        if node.func.attr in ALWAYS or (node.func.attr in WITHOUT_ARGUMENTS and without and not node.keywords):
            yield node.lineno


def numbers_from_text(source: str) -> Iterator[int]:
    """Yield the lines of int() and float(), which accept more texts than any format."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "float"):
            yield node.lineno


def modules() -> list[Path]:
    return sorted(AGENT.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(AGENT)))
def test_module_does_not_use_pythons_blanks_lines_and_digits(path: Path) -> None:
    name = str(path.relative_to(AGENT))
    found = list(python_text_calls(path.read_text()))
    assert not found or name in ALLOWED, f"{name}: use host/ascii_text.py or an argument, lines {found}"


def test_every_exception_is_needed() -> None:
    unused = {name for name in ALLOWED if not list(python_text_calls((AGENT / name).read_text()))}
    assert unused <= {"host/ascii_text.py"}


def test_numbers_of_textfiles_are_converted_in_one_place() -> None:
    found = {path.name: len(list(numbers_from_text(path.read_text()))) for path in (AGENT / "exposition").glob("*.py")}
    assert {name: count for name, count in found.items() if count} == {"layout.py": 1, "parser.py": 1, "text.py": 2}, (
        "use parser.number(); layout.py and text.py convert numbers that it has accepted"
    )


def test_forbidden_calls_are_found() -> None:
    source = "a.split()\na.split(None, 1)\na.strip()\na.splitlines(True)\na.isdigit()\na.split(' ')\na.strip(' ')\n"
    assert list(python_text_calls(source)) == [1, 2, 3, 4, 5]


ODD = [chr(code) for code in range(0x3001) if chr(code).isspace() and chr(code) not in BLANKS]


def test_words_keep_every_character_between_ascii_blanks() -> None:
    assert words_of(" a\tb\n\v\fc \r") == ["a", "b", "c"]
    assert words_of("") == words_of(BLANKS) == []
    kept = "".join(map(chr, (0, *range(0x1C, 0x20), 0x85, 0xA0, 0xE9, 0x2028, 0xD800, 0xDCB6, 0x1F600)))
    assert words_of(f"{kept} {kept}") == [kept, kept]


def test_only_ascii_blanks_separate_words() -> None:
    assert len(ODD) > 15
    for odd in ODD:
        assert words_of(f" a{odd}b\tc\n") == [f"a{odd}b", "c"], unicodedata.name(odd, repr(odd))
    assert [is_digits(text) for text in ("12", "", "\u0661", "\u00b2", "-1", "1_0", " 1")] == [True] + [False] * 6


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x1c", "\u3000"])
def test_devices_whose_names_have_odd_characters_are_kept(odd: str) -> None:
    [(_, samples)] = [
        metric for metric in parse_arp(f"IP HW Flags\n10.0.0.1 0x1 0x2 00:00 * eth{odd}0\n", Filter()) if metric[1]
    ]
    assert samples == [((f"eth{odd}0",), 1)]
    [row] = rows(f" 8 0 sd{odd}a {'1 ' * 17}\n", Filter())
    assert row.device == f"sd{odd}a"
    assert variables(f'NAME="A{odd}B"\nID=c\n') == {"name": f"A{odd}B", "id": "c"}
