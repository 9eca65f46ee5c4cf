"""`make fuzz`: run each parser of `tests/support/parsers.py` under Atheris, one process for each."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from metricat_tools.errors import ToolError
from metricat_tools.security.programs import ROOT

PACKAGES = ROOT / "dist" / "fuzz" / "packages"
_MOST_MEMORY = 1024
"""MiB of a process. The instrumented code alone takes some 250."""
_SECONDS_PER_INPUT = 10
_RUNS = re.compile(r"Done (\d+) runs")


def fuzz(names: Sequence[str], seconds: int) -> None:
    """Fuzz the named parsers, or all, for this time each. Input that fails stays in dist/fuzz.

    Raises:
        ToolError: a parser raised an undeclared error, or took too much time or memory.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    from support.parsers import PARSERS  # noqa: PLC0415 -- only in a checkout

    unknown = sorted(set(names) - set(PARSERS))
    if unknown:
        raise ToolError(f"unknown parser {unknown[0]}. Use one of: {', '.join(sorted(PARSERS))}")
    failed = [name for name in names or sorted(PARSERS) if not _passes(name, PARSERS[name], seconds)]
    if failed:
        raise ToolError(f"{len(failed)} parsers failed: {', '.join(failed)}. The input is in {ROOT / 'dist' / 'fuzz'}")


def _passes(name: str, parser: Any, seconds: int) -> bool:
    folder = ROOT / "dist" / "fuzz" / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(parser.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / "words.txt"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in parser.words))
    started = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "support.fuzzer", name, corpus, f"-dict={words}", f"-max_total_time={seconds}"),
            *(f"-timeout={_SECONDS_PER_INPUT}", f"-rss_limit_mb={_MOST_MEMORY}", f"-artifact_prefix={folder}/"),
            *("-max_len=20000", "-print_final_stats=1"),
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'tests'}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    runs = _RUNS.search(done.stderr)
    took = time.monotonic() - started
    print(
        f"{name:<32} {int(runs[1]) if runs else 0:>9} inputs  {took:>5.0f} s  {'failed' if done.returncode else 'ok'}",
        flush=True,
    )
    if done.returncode:
        print(_cause(done.stdout + done.stderr), file=sys.stderr, flush=True)
    return done.returncode == 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _cause(output: str) -> str:
    """Return the exception of the parser, or the error of libFuzzer."""
    at = output.find("=== Uncaught Python exception: ===")
    lines = (
        output[at:] if at >= 0 else "\n".join(line for line in output.splitlines() if "ERROR" in line or "#0" in line)
    )
    return "\n".join(lines.split("\n==")[0].splitlines()[-12:])
