"""`metricat store`: check, compact, export, import and back up the hub's embedded store."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.model.durations import parse_duration
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from metricat_hub.model.ports import Matcher

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name

_DESCRIPTION = """\
Check, compact, export, import and back up the samples of a hub. `check`, `export` and `backup` work while the hub
runs. `compact` and `import` require that it is stopped."""


def add_parser(commands: "Subparsers") -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "store", help="check, compact, export, import or back up the hub's samples", description=_DESCRIPTION
    )
    parser.set_defaults(run=lambda _: parser.format_help())
    actions = parser.add_subparsers(title="actions", metavar="ACTION", help="action to run")
    _action(actions, "check", _check, "read all samples and report damaged parts")
    _action(actions, "compact", _compact, "rewrite the file without free space and damaged parts")
    out = _action(actions, "export", _export, "write samples as OpenMetrics or JSON lines")
    out.add_argument("--match", default="", metavar="SELECTOR", help="series to export, for example 'up{node=\"a\"}'")
    out.add_argument("--from", dest="begin", type=_time, metavar="TIME", help="earliest time (default: all)")
    out.add_argument("--to", dest="end", type=_time, metavar="TIME", help="latest time (default: now)")
    out.add_argument("--format", choices=("openmetrics", "jsonl"), default="jsonl", help="format (default %(default)s)")
    out.add_argument(
        "--tier", choices=("raw", "1m", "1h"), default="raw", help="finest tier to export (default %(default)s)"
    )
    out.add_argument("-o", "--output", metavar="FILE", default="-", help="file to write (default: standard output)")
    into = _action(actions, "import", _import, "import samples from an export, OpenMetrics or `promtool tsdb dump`")
    into.add_argument("file", metavar="FILE", help="file to read, - for standard input")
    copy = _action(actions, "backup", _backup, "copy the store as it is now; to restore, use the copy as --data")
    copy.add_argument("target", type=Path, metavar="DIR", help="directory of the copy, without a store in it")


def _action(actions: "Subparsers", name: str, run: object, summary: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument(
        "--data",
        type=Path,
        default=_default_data(),
        metavar="DIR",
        help="directory of the hub's data (default: metricat in XDG_DATA_HOME or ~/.local/share)",
    )
    return parser


def _default_data() -> Path:
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "share") / "metricat"


def _time(text: str) -> int:
    """Return a time in milliseconds: RFC 3339, seconds since 1970, or a duration before now."""
    try:
        return int(time.time() * 1000) - parse_duration(text)
    except ValueError:
        pass
    try:
        return round(float(text) * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"invalid time {text!r}; use for example 2026-11-27T12:00:00Z, 1795780800, or 7d for seven days ago"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except HubError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename or 'output'}: {error.strerror}. Check the path.") from error


def _check(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import operations  # noqa: PLC0415 -- numpy is slow to import

    with _errors():
        found = operations.check(chosen.data)
    read = f"{found.chunks} chunks, {found.batches} batches and {found.samples} raw samples"
    if found.damaged:
        lines = "\n".join(found.damaged)
        raise CommandError(
            f"read {read}.\n{lines}\nRestore a backup, or remove the damaged parts with: metricat store compact"
        )
    return f"Read {read}. Nothing is damaged."


def _compact(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import operations  # noqa: PLC0415 -- as above

    with _errors():
        before, after = operations.compact(chosen.data)
    return f"Compacted {chosen.data} from {before / 2**20:.1f} to {after / 2**20:.1f} MiB."


def _backup(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import operations  # noqa: PLC0415 -- as above
    from metricat_hub.store.embedded.database import FILE  # noqa: PLC0415

    with _errors():
        size = operations.backup(chosen.data / FILE, chosen.target)
    return f"Copied the store to {chosen.target} ({size / 2**20:.1f} MiB)."


def _export(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import EmbeddedStore, exchange  # noqa: PLC0415 -- as above

    matchers = _matchers(chosen.match)
    end = chosen.end if chosen.end is not None else int(time.time() * 1000)
    with _errors():
        store = EmbeddedStore.open_read_only(chosen.data)
        try:
            lines = exchange.export(store.iterate(matchers, chosen.begin or 0, end, chosen.tier), chosen.format)
            if chosen.output == "-":
                for line in lines:
                    print(line)  # noqa: T201 -- the command's output
                return ""
            count = 0
            with Path(chosen.output).open("w", encoding="utf-8") as file:
                for line in lines:
                    file.write(f"{line}\n")
                    count += 1
        finally:
            store.close()
    return f"Wrote {count} lines to {chosen.output}."


def _import(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import EmbeddedStore, exchange  # noqa: PLC0415 -- as above

    with _errors():
        store = EmbeddedStore.open(chosen.data, exchange.KEEP_ALL)
        try:
            with _input(chosen.file) as lines:
                result = exchange.import_lines(store, lines)
        finally:
            store.close()
    text = (
        f"Imported {result.accepted} samples. {result.duplicates} were stored already, {result.rejected} were rejected."
    )
    if result.bad_lines:
        shown = "\n".join(result.errors)
        raise CommandError(f"{text}\n{result.bad_lines} lines are not valid:\n{shown}\nCorrect them, and import again.")
    return text


@contextmanager
def _input(name: str) -> Iterator[IO[str]]:
    if name == "-":
        yield sys.stdin
        return
    with Path(name).open(encoding="utf-8") as file:
        yield file


def _matchers(text: str) -> "list[Matcher]":
    if not text:
        return []
    from metricat_hub.promql.nodes import Selector  # noqa: PLC0415 -- as above
    from metricat_hub.promql.parser import parse  # noqa: PLC0415

    with _errors():
        node = parse(text)
    if not isinstance(node, Selector):
        raise CommandError(f"--match {text}: not a selector. Use for example 'up{{node=\"a\"}}'.")
    return list(node.matchers)
