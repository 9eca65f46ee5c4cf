"""Tables on terminals of any width."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from metricat_cli.output import table, table_rows

ROWS = [
    ["NAMESPACE", "NAME", "NODES", "READY", "UNCOVERED", "MESSAGE"],
    [
        "monitoring",
        "nodes",
        "1000",
        "998",
        "2",
        "node-17 is without an agent: the image registry.example.com/a is gone",
    ],
    ["team", "gpu", "3", "3", "0", "-"],
]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100])
def test_table_fits_into_a_narrow_terminal_without_a_loss(columns: int) -> None:
    found = table_rows(ROWS, columns)
    assert len(found) == len(ROWS)
    assert max(len(line) for row in found for line in row.splitlines()) <= columns
    for text, row in zip(found, ROWS, strict=True):
        assert "".join(text.split()) == "".join("".join(row).split())
        assert all(line.startswith("    ") for line in text.splitlines()[1:])


def test_cells_of_narrow_rows_are_aligned() -> None:
    header, first, second = (row.splitlines() for row in table_rows(ROWS, 40))
    assert header == ["NAMESPACE   NAME   NODES  READY", "    UNCOVERED", "    MESSAGE"]
    assert first[:2] == ["monitoring  nodes  1000   998", "    2"]
    assert second == ["team        gpu    3      3", "    0", "    -"]


@pytest.mark.parametrize("columns", [0, 200])
def test_row_is_one_line_if_the_terminal_is_wide(columns: int) -> None:
    assert table_rows(ROWS, columns) == table(ROWS).splitlines()
    assert table(ROWS).splitlines()[2] == "team        gpu    3      3      0          -"


def on_terminal(code: str, columns: int, lines: int, until: str) -> str:
    """Return what a program prints on a terminal of this size until a text appears. The program is then ended."""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": str(lines), "TERM": "xterm", "NO_COLOR": "1"}
    controller, terminal = pty.openpty()
    try:
        with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as program:
            shown, end = b"", time.monotonic() + 60
            while until not in shown.decode(errors="replace") and time.monotonic() < end:
                if select.select([controller], [], [], 1)[0]:
                    shown += os.read(controller, 65536)
                elif program.poll() is not None:
                    break
            program.terminate()
    finally:
        os.close(controller)
        os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n")


def test_width_is_that_of_the_terminal() -> None:
    code = f"from metricat_cli.output import table; print(table({ROWS!r})); print('END')"
    assert on_terminal(code, 40, 24, "END").splitlines()[0] == "NAMESPACE   NAME   NODES  READY"
    assert "MESSAGE" in on_terminal(code, 200, 24, "END").splitlines()[0]


def test_watch_names_the_lines_that_the_screen_does_not_show() -> None:
    code = "from metricat_cli.options import watch; watch(lambda: '\\n'.join(f'row {i}' for i in range(30)), 60)"
    shown = on_terminal(code, 80, 10, "--watch")
    assert "row 8" in shown
    assert "row 9" not in shown
    assert "... 21 more lines; run the command without --watch" in shown
