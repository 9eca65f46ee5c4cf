"""No host and no textfile makes the agent expose a page that an official parser refuses.

Each seed changes a recorded host and writes random textfiles. The whole agent scrapes it in both formats; the parsers
of Prometheus' Python client and Prometheus' own (promtool) read the pages. `METRICAT_SEEDS=first:last` selects seeds.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry
from support.exposition import check_with_promtool, samples
from support.paths import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

TREES = ("host", "hosts/bonded-links", "hosts/file-server", "hosts/rdma-and-nvme", "hosts/storage-area-network")
LIVE = ("agent", "processes")
"""Collectors of this process, and of work between scrapes."""
FEW = 12
MANY = 3_000
ODD = [
    *(b"\0", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xc2\xa0", b"\x1c", b"\v", b"\r", b"\n", b"\t", b" ", b":", b"-"),
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"%s",
        b"#",
        b",",
        b"=",
        b"_total",
        b"-1",
        b"1_0",
        b"1e999",
        b"nan",
        b"inf",
        b"\xd9\xa3",
    ),
    *(b"9" * 19, b"9" * 400, b"18446744073709551616", b"0x", b"(null)", b""),
]
NAMES = [
    *("own", "own_total", "own_created", "own_sum", "own_count", "own_bucket", "own_info", "_total", "node_forks"),
    *("node_forks_total", "node_forks_created", "node_load1", "node_load1_total", "node_textfile_scrape_error"),
    *("node_memory_MemTotal_bytes", "node_scrape_collector_success", "metricat_collector_errors", "node_cpu_seconds"),
    *("node_cpu_seconds_count", "node_network_up", "node_network", "a:b", "ä"),
]
KINDS = ("counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "")
LABELS = ("le", "quantile", "device", "x", "__name__", "__y", "é")
VALUES = (
    "1",
    "+Inf",
    "0.5",
    "0.50",
    "1e0",
    "-1",
    "NaN",
    "",
    "\\n",
    '\\"',
    "\\\\",
    "\u2028",
    "\x85",
    "\0",
    "}",
    "\\xff",
)
NUMBERS = ("0", "1", "2", "1.5", "-1", "NaN", "+Inf", "-Inf", "1e999", "1_000", "1 1700000000000", "\u0663", "", "1\r")
BLANKS = (" ", " ", " ", "\t", "  ", "\u2028", "\xa0", "")


def textfile(chance: random.Random) -> str:
    """Return lines that are similar to the text format."""
    lines = []
    for name in chance.choices(NAMES, k=chance.randint(0, 6)):
        if chance.random() < 0.7:
            lines.append(f"# TYPE {name} {chance.choice(KINDS)}")
        if chance.random() < 0.3:
            lines.append(f"# HELP {name} {chance.choice(VALUES)}{chance.choice(VALUES)}")
        for _ in range(chance.randint(0, 4)):
            part = chance.choice(("", "", "_bucket", "_sum", "_count", "_total"))
            found = chance.sample(LABELS[: 4 if chance.random() < 0.95 else 7], k=chance.randint(0, 2))
            labels = ",".join(f'{label}="{chance.choice(VALUES)}"' for label in found)
            usual = chance.random() < 0.9
            number = chance.choice(NUMBERS[:7] if usual else NUMBERS)
            lines.append(f"{name}{part}{{{labels}}}{' ' if usual else chance.choice(BLANKS)}{number}")
        if chance.random() < 0.3:
            lines += [f'{name}_bucket{{le="1"}} 1', f'{name}_bucket{{le="+Inf"}} 2', f"{name}_sum 3", f"{name}_count 2"]
    return "\n".join(lines) + chance.choice(("\n", "", "\r\n"))


def changed(content: bytes, chance: random.Random) -> bytes:
    """Return a content with a line twice, a part missing, or an odd text in it."""
    at = chance.randint(0, len(content))
    lines = content.split(b"\n")
    row = chance.randrange(len(lines))
    kind = chance.randrange(5)
    if kind == 0:
        return b"\n".join([*lines[:row], lines[row], *lines[row:]])
    if kind == 1:
        return b"\n".join([*lines[: row + 1], chance.choice(lines), *lines[row + 1 :]])
    if kind == 2:
        return content[:at] + content[at + chance.randint(0, 40) :]
    return content[:at] + chance.choice(ODD) + content[at + chance.randint(0, 3) * (kind == 3) :]


class Tree:
    """A recorded host that a seed changes, and that is restored afterwards."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in TREES:
            shutil.copytree(FIXTURES / name, root, symlinks=True, dirs_exist_ok=True)
        self.files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        self.directories = sorted({path.parent for path in self.files if "sys" in path.relative_to(root).parts[:1]})
        self.textfiles = root / "more-textfiles"

    def change(self, chance: random.Random) -> dict[Path, bytes | None]:
        """Change the tree; return the earlier content by path, None for a path that is new."""
        before: dict[Path, bytes | None] = {}
        for path in chance.sample(self.files, k=chance.randint(0, 12)):
            before[path] = path.read_bytes()
            content = before[path] or b""
            for _ in range(chance.randint(1, 3)):
                content = changed(content, chance)
            path.write_bytes(content)
        if chance.random() < 0.5:
            directory = chance.choice(self.directories)
            twin = directory.with_name(f"{directory.name}{chance.choice(('0', ' ', '_1', chr(0x2028)))}")
            if not twin.exists():
                shutil.copytree(directory, twin, symlinks=True)
                before[twin] = None
        self.textfiles.mkdir()
        before[self.textfiles] = None
        for number in range(chance.randint(0, 3)):
            (self.textfiles / f"{number}.prom").write_bytes(textfile(chance).encode())
        return before

    def restore(self, before: dict[Path, bytes | None]) -> None:
        for path, content in before.items():
            if content is None:
                shutil.rmtree(path)
            else:
                path.write_bytes(content)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("host"))


def pages(tree: Tree) -> tuple[str, str]:
    """Return the page of the tree in both formats."""
    root = tree.root
    host = Host(f"{root}/proc", f"{root}/sys", f"{root}/root", self_proc=f"{root}/own")
    flags = [f"--collector.textfile.directory={root}/{name}" for name in ("textfile", "more-textfiles")]
    given = parse([*flags, "--collector.tcpstat", "--collector.cpu.info"], {}, COLLECTORS)
    registry = Registry(
        (
            COLLECTORS[name](host, one.filters, one.options)
            for name, one in given.collectors.items()
            if name not in LIVE
        ),
        limits=ExecutorLimits(timeout=60),
    )
    return registry.page("text").plain.decode(), registry.page("openmetrics").plain.decode()


def check_seed(tree: Tree, seed: int) -> None:
    chance = random.Random(seed)
    before = tree.change(chance)
    try:
        text, openmetrics = pages(tree)
        samples(text, "text")
        samples(openmetrics, "openmetrics")
        check_with_promtool(text)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    finally:
        tree.restore(before)


@pytest.mark.parametrize("seed", range(FEW))
def test_page_of_a_changed_host_is_valid(tree: Tree, seed: int) -> None:
    check_seed(tree, seed)


@pytest.mark.slow
def test_pages_of_thousands_of_changed_hosts_are_valid(tree: Tree) -> None:
    first, last = map(int, os.environ.get("METRICAT_SEEDS", f"{FEW}:{FEW + MANY}").split(":"))
    failed = []
    for seed in range(first, last):
        try:
            check_seed(tree, seed)
        except AssertionError as error:
            failed.append(str(error))
    assert failed == []
