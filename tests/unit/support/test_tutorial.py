"""The comparison of a page's output with the real one, and the two terminals of its reader."""

import os
from pathlib import Path

import pytest

from support.tutorial import Reader, Terminal, pattern


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("NAME   AGE\nnodes  28s\n", "NAME    AGE\nnodes   3m5s\n", True),
        ("NAME   READY\nnodes  2\n", "NAME   READY\nnodes  1\n", False),
        ("at 2026-01-31T10:00:20.120Z: 12.5 %\n", "at 2025-12-01T01:02:03Z: 7 %\n", True),
        ("key metricat_75b288d5e2b9_...\n", "key metricat_0123456789ab_secret\n", True),
        ("first\n...\n", "first\nsecond\nthird\n", True),
        ("first\n", "first\nsecond\n", False),
        ('{"a":1,...,"z":2}\n', '{"a":1,"b":[],"z":2}\n', True),
        ('{"a":1,...,"z":2}\n', '{"a":1,"b":[],"z":3}\n', False),
        ("data: /home/ada/data\n", "data: /root/data\n", True),
        ("a+b (c)\n", "aab c\n", False),
    ],
)
def test_output_is_compared_except_what_varies(shown: str, output: str, same: bool) -> None:  # noqa: FBT001 (a parameter)
    assert bool(pattern(shown, {"/home/ada": "/root"}).fullmatch(output)) == same


def read(folder: Path, text: str, not_run: dict[str, str] | None = None) -> list[str]:
    page = folder / "page.md"
    page.write_text(text)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    first, second = Terminal(folder, environment), Terminal(folder, environment)
    try:
        return Reader(first, second, {}, not_run or {}, seconds=5).read(page)
    finally:
        first.close()
        second.close()


def test_blocks_share_the_variables_of_their_terminal(tmp_path: Path) -> None:
    text = "```sh\nX=1\nprintf no-newline > file\n```\n\n```sh\ncat file; echo $X\n```\n\n```\nno-newline1\n```\n"
    assert read(tmp_path, text) == ["page.md:1: run", "page.md:6: compared"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```sh\necho a\n```\n\n```\nb\n```\n", "the page shows\nb\n"),
        ("```sh\nfalse\necho a\n```\n", "a command failed"),
        ("```yaml\na: 1\n```\n", "no test runs this block of yaml"),
    ],
)
def test_block_that_does_not_do_what_the_page_shows_fails(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(AssertionError, match=error):
        read(tmp_path, text)


def test_block_that_is_not_run_must_exist(tmp_path: Path) -> None:
    assert read(tmp_path, "```yaml\na: 1\n```\n", {"a: 1": "a reason"}) == []
    with pytest.raises(AssertionError, match="does not exist"):
        read(tmp_path, "```sh\ntrue\n```\n", {"a: 1": "a reason"})
