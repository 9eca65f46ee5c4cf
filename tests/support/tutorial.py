"""Runs the code blocks of a documentation page as a reader does, and compares their output with what the page shows."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import tempfile
import textwrap
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FOREGROUND = re.compile(r"^(\S*/)?(metricat up|metricat hub -|metricat-agent)")
_READING = re.compile(r"^(get |curl |kubectl get |kubectl wait |helm test |metricat (status|check|nodes|top|alerts))")
_VARIES = (
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?",
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?",
    ),
    (r"(?<![0-9A-Za-z])[0-9a-f]{12}(?![0-9A-Za-z])", r"[0-9a-f]{12}"),
    (r"\b\d+\.\d+\b(?!\.)", r"\d+(\.\d+)?(e[-+]?\d+)?"),
    (r"\b\d+(m\d+)?[smhd]\b", r"\d+[smhd](\d+[smh])?"),
)
"""Patterns of texts that vary between two runs, each with the pattern of the text that takes its place."""


@dataclass(frozen=True)
class Block:
    """A code block: its language (empty for the output of a command), its text, and the line where it starts."""

    language: str
    text: str
    line: int

    @property
    def last_command(self) -> str:
        """The last line that starts a command."""
        lines = [line for line in self.text.replace("\\\n", " ").splitlines() if line and not line.startswith(" ")]
        return lines[-1] if lines else ""

    @property
    def stays(self) -> bool:
        """Whether the last command runs until Ctrl-C."""
        return self.language == "sh" and bool(_FOREGROUND.match(self.last_command))

    @property
    def only_reads(self) -> bool:
        """Whether every command only reads, so that a reader may repeat it until the output has arrived."""
        return all(_READING.match(line) for line in self.text.replace("\\\n", " ").splitlines())


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page in order."""
    text = page.read_text()
    return [
        Block(found[2], textwrap.dedent(found[3]), text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


def pattern(shown: str, names: Mapping[str, str]) -> re.Pattern[str]:
    """Return the pattern of an output that a page shows.

    `...` matches any text of a line, or in a line of its own for any lines. Times, identifiers, decimals and ages
    may differ, and so may the widths of columns. `names` are other texts of the page, each with the real one.
    """
    lines = [r"(.*\n)*?" if line.strip() == "..." else _line(line, names) + r"\s*\n" for line in shown.splitlines()]
    return re.compile("".join(lines))


def _line(shown: str, names: Mapping[str, str]) -> str:
    found = [rf"(?P<n{i}>{re.escape(name)})" for i, name in enumerate(names)]
    found += [rf"(?P<v{i}>{varies})" for i, (varies, _) in enumerate(_VARIES)]
    found += [r"(?P<any>\.\.\.)", r"(?P<blank>\s+)"]
    made, end = "", 0
    for one in re.finditer("|".join(found), shown.rstrip()):
        made += re.escape(shown[end : one.start()])
        end = one.end()
        group = next(name for name, text in one.groupdict().items() if text is not None)
        if group.startswith("n"):
            made += re.escape(list(names.values())[int(group[1:])])
        elif group.startswith("v"):
            made += f"(?:{_VARIES[int(group[1:])][1]})"
        else:
            made += r".*?" if group == "any" else r"\s+"
    return made + re.escape(shown.rstrip()[end:])


class Terminal:
    """A shell that keeps its variables and its directory between blocks."""

    def __init__(self, folder: Path, environment: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        command = [*prefix, "bash", "--norc", "--noprofile"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._number = 0
        self._scripts = tempfile.TemporaryDirectory(prefix="metricat-tutorial-")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def type(self, script: str) -> str:
        """Type a script and the marker of its end, which the function returns."""
        assert self._process.stdin is not None
        self._number += 1
        marker = f"end-of-block-{self._number}"
        body = "set -eo pipefail\n" + script.rstrip("\n") + "\nset +e\n"
        file = Path(self._scripts.name, f"{self._number}.sh")
        file.write_text(body)
        self._process.stdin.write(f". {file}; printf '\\n%s %s\\n' {marker} $?\n")
        self._process.stdin.flush()
        return marker

    def run(self, script: str, seconds: float = 400.0) -> str:
        """Run a script and return its output; fail if a command fails."""
        marker = self.type(script)
        output, ended = self.read_until(lambda line: line.startswith(marker), seconds)
        assert ended, f"a command failed or did not end within {seconds:.0f} s:\n{script}\n{output}"
        *lines, last = output.splitlines(keepends=True)
        assert last.split()[1] == "0", f"a command failed:\n{script}\n{output}"
        return "".join(lines).removesuffix("\n")  # the marker begins with a newline

    def read_until(self, stop: Callable[[str], bool], seconds: float) -> tuple[str, bool]:
        """Return the lines up to the first for which `stop` is true, and whether there was one."""
        output, deadline = "", time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if not line:
                break
            output += line
            if stop(line):
                return output, True
        return output, False

    def interrupt(self, marker: str) -> None:
        """Press Ctrl-C: the command that runs must end with status 0."""
        shell = self._process.pid
        for child in Path(f"/proc/{shell}/task/{shell}/children").read_text().split():
            os.kill(int(child), signal.SIGINT)
        output, ended = self.read_until(lambda line: line.startswith(marker), 60)
        assert ended, f"Ctrl-C did not end the command:\n{output}"
        assert output.splitlines()[-1].split()[1] == "0", output

    def close(self) -> None:
        """End the shell and everything that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        self._reader.join(30)
        for pipe in filter(None, (self._process.stdin, self._process.stdout)):
            with suppress(BrokenPipeError):
                pipe.close()
        self._scripts.cleanup()


@dataclass
class Reader:
    """Reads a page from top to bottom, with two terminals: the first is busy while a command runs until Ctrl-C.

    Attributes:
        names: texts of the page, each with the real one. Keys and identifiers that a command prints are added.
        not_run: the first line of each block that the reader does not run, with the reason.
    """

    first: Terminal
    second: Terminal
    names: dict[str, str]
    not_run: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0
    _running: str = ""

    def read(self, page: Path) -> list[str]:
        """Run all blocks in order; return a line about each."""
        found, report, used = blocks(page), [], set()
        for block, following in zip(found, [*found[1:], None], strict=True):
            opening = block.text.partition("\n")[0]
            if opening in self.not_run:
                used.add(opening)
            elif block.language == "sh":
                shown = following.text if following is not None and not following.language else ""
                self._do(block, shown)
                report.append(f"{page.name}:{block.line}: {'compared' if shown else 'run'}")
            else:
                assert not block.language, f"{page.name}:{block.line}: no test runs this block of {block.language}"
        assert used == set(self.not_run), "a block that is not run does not exist"
        return report

    def _do(self, block: Block, shown: str) -> None:
        script = self._real(block.text)
        if block.stays:
            if self._running:
                self.first.interrupt(self._running)
            self._running = self.first.type(script)
            self._compare_start(shown)
            return
        terminal = self.second if self._running else self.first
        deadline = time.monotonic() + self.seconds
        while True:
            output = terminal.run(script)
            if not shown or self._matches(shown, output):
                break
            if not block.only_reads or time.monotonic() > deadline:
                raise AssertionError(_difference(block, shown, output))
            time.sleep(1)
        self._learn(shown, output)

    def _compare_start(self, shown: str) -> None:
        wanted = shown.removesuffix("...\n") or "...\nMetricat listens on ...\n"
        output = ""

        def complete(line: str) -> bool:
            nonlocal output
            output += line
            return self._matches(wanted + "...\n", output)

        _, ended = self.first.read_until(complete, self.seconds)
        assert ended, f"expected:\n{shown}\ngot:\n{output}"
        self._learn(shown, output)

    def _matches(self, shown: str, output: str) -> bool:
        return bool(pattern(shown, self._texts()).fullmatch(output if output.endswith("\n") else f"{output}\n"))

    def _texts(self) -> dict[str, str]:
        return {name: self.names[name] for name in sorted(self.names, key=len, reverse=True)}

    def _real(self, script: str) -> str:
        for name, real in self._texts().items():
            script = script.replace(name, real)
        return script

    def _learn(self, shown: str, output: str) -> None:
        """Note the keys and the identifiers that the page and the output have at the same place."""
        there = re.findall(r"metricat_([0-9a-f]{12})_\.\.\.", shown)
        here = re.findall(r"metricat_([0-9a-f]{12})_([\w-]+)", output)
        for name, (identifier, secret) in zip(there, here, strict=False):
            self.names[f"metricat_{name}_..."] = f"metricat_{identifier}_{secret}"
            self.names[name] = identifier


def _difference(block: Block, shown: str, output: str) -> str:
    return f"line {block.line}: the page shows\n{shown}\nthe output is\n{output}"
