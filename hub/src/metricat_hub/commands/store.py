"""`metricat store`: check, compact, export, import and back up the samples of the hub, and its other state."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.commands.running import add_data, settings_of
from metricat_hub.model.durations import parse_duration
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from metricat_hub.config.settings import Settings
    from metricat_hub.model.ports import Matcher, Tier
    from metricat_hub.store.embedded import EmbeddedStore
    from metricat_hub.store.postgresql import PostgresStore

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name

TIERS: "tuple[Tier, ...]" = ("raw", "1m", "1h")
_FUTURE = 3_600_000
"""A check also reads samples up to these milliseconds in the future, because clocks of targets may be ahead."""
_DESCRIPTION = """\
Check, compact, export, import and back up the samples of a hub. `check`, `export` and `backup` work while the hub
runs. `compact` and `import` require that the hub is stopped. The samples are in the store of --store.url, or in
--data."""


def add_parser(commands: "Subparsers") -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "store", help="check, compact, export, import or back up the hub's samples", description=_DESCRIPTION
    )
    parser.set_defaults(run=lambda _: parser.format_help())
    actions = parser.add_subparsers(title="actions", metavar="ACTION", help="action to run")
    _action(actions, "check", _check, "read all samples, and report damaged parts of the store")
    _action(actions, "compact", _compact, "rewrite the store's file without free space and damaged parts")
    out = _action(actions, "export", _export, "write samples as OpenMetrics or JSON lines")
    out.add_argument("--match", default="", metavar="SELECTOR", help="series to export, for example 'up{node=\"a\"}'")
    out.add_argument(
        "--from", dest="begin", type=_time, metavar="TIME", help="time of the earliest sample (default: no limit)"
    )
    out.add_argument("--to", dest="end", type=_time, metavar="TIME", help="time of the latest sample (default: now)")
    out.add_argument(
        "--format", choices=("openmetrics", "jsonl"), default="jsonl", help="format of the export (default %(default)s)"
    )
    out.add_argument(
        "--tier",
        choices=("raw", "1m", "1h"),
        default="raw",
        help="finest resolution to export: raw, 1m or 1h (default %(default)s)",
    )
    out.add_argument("-o", "--output", metavar="FILE", default="-", help="file to write (default: standard output)")
    into = _action(actions, "import", _import, "import samples from an export, OpenMetrics or `promtool tsdb dump`")
    into.add_argument("file", metavar="FILE", help="file to read, - for standard input")
    copy = _action(
        actions,
        "backup",
        _backup,
        "copy samples, accounts, alerts and rules to a directory; to restore, run the hub with --data=DIRECTORY",
    )
    copy.add_argument("target", type=Path, metavar="DIR", help="directory for the copy; it must not contain a backup")


def _action(actions: "Subparsers", name: str, run: object, summary: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run, parser=parser)
    add_data(parser, "config.file", "data", "store.url")
    return parser


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
    settings = settings_of(chosen)
    if settings.store_url.kind != "embedded":
        return _check_database(settings)
    from metricat_hub.store.embedded import operations  # noqa: PLC0415 -- numpy is slow to import

    with _errors():
        found = operations.check(settings.data)
    read = f"{found.chunks} chunks, {found.batches} batches and {found.samples} raw samples"
    if found.damaged:
        lines = "\n".join(found.damaged)
        raise CommandError(
            f"read {read}. These parts are damaged:\n{lines}\nRestore a backup, or remove the damaged parts with: "
            "metricat store compact"
        )
    return f"Read {read}. Nothing is damaged."


def _check_database(settings: "Settings") -> str:
    """Read all samples of a database in each resolution. An error of the database ends the check."""
    samples = dict.fromkeys(TIERS, 0)
    series = 0
    with _errors(), closing(_open_read_only(settings, "check")) as store:
        for tier in TIERS:
            for number, one in enumerate(store.iterate([], 0, now() + _FUTURE, tier), 1):
                samples[tier] += len(one.times)
                series = max(series, number)
    counts = ", ".join(f"{count} samples of the tier {tier} and coarser" for tier, count in samples.items())
    return f"Read {series} series: {counts}. PostgreSQL reports no damage. For a complete check, run pg_amcheck."


def _compact(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import operations  # noqa: PLC0415 -- as above

    settings = settings_of(chosen)
    if settings.store_url.kind == "postgresql":
        raise CommandError(
            "--store.url: PostgreSQL compacts its tables with autovacuum. To return free space to the system, run in "
            "the database: VACUUM FULL. To compact the samples in --data instead, set --store.url=embedded:",
            2,
        )
    _reject_remote(settings, "compact")
    with _errors():
        before, after = operations.compact(settings.data)
    return f"Compacted {settings.data} from {before / 2**20:.1f} to {after / 2**20:.1f} MiB."


def _backup(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.backup import backup  # noqa: PLC0415 -- as above

    settings = settings_of(chosen)
    with _errors():
        copied = backup(settings.data, chosen.target)
    text = f"Copied {', '.join(copied)} to {chosen.target} ({sum(copied.values()) / 2**20:.1f} MiB)."
    if settings.store_url.kind == "postgresql":
        return f"{text} The samples are in PostgreSQL. Copy them with: pg_dump --schema=metricat"
    if settings.store_url.kind == "prometheus":
        return f"{text} The samples are in a Prometheus-compatible server. Copy them with its tools."
    return text


def _open_read_only(settings: "Settings", action: str) -> "EmbeddedStore | PostgresStore":
    """Open the store for reading, also while the hub runs."""
    _reject_remote(settings, action)
    if settings.store_url.kind == "postgresql":
        return _database().open_read_only(settings.store_url.url, now)
    from metricat_hub.store.embedded import EmbeddedStore  # noqa: PLC0415 -- numpy is slow to import

    return EmbeddedStore.open_read_only(settings.data)


def _open(settings: "Settings") -> "EmbeddedStore | PostgresStore":
    """Open the store for samples of any age."""
    from metricat_hub.store.embedded import EmbeddedStore, exchange  # noqa: PLC0415 -- numpy is slow to import

    _reject_remote(settings, "import")
    if settings.store_url.kind == "postgresql":
        return _database().open(settings.store_url.url, exchange.KEEP_ALL, now)
    return EmbeddedStore.open(settings.data, exchange.KEEP_ALL)


def _database() -> "type[PostgresStore]":
    from metricat_hub.store.opening import require  # noqa: PLC0415 -- as above

    require("psycopg", "postgresql", "--store.url=postgresql:")
    from metricat_hub.store.postgresql import PostgresStore  # noqa: PLC0415 -- psycopg is optional

    return PostgresStore


def _reject_remote(settings: "Settings", action: str) -> None:
    if settings.store_url.kind == "prometheus":
        raise CommandError(
            f"--store.url: the samples are in a Prometheus-compatible server, which `metricat store {action}` cannot "
            "access. Use the server's tools, for example promtool. To use the samples in --data "
            "instead, set --store.url=embedded:",
            2,
        )


def now() -> int:
    """Return the current time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def _export(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import exchange  # noqa: PLC0415 -- as above

    matchers = _matchers(chosen.match)
    end = chosen.end if chosen.end is not None else now()
    count = 0
    with _errors(), closing(_open_read_only(settings_of(chosen), "export")) as store:
        lines = exchange.export(store.iterate(matchers, chosen.begin or 0, end, chosen.tier), chosen.format)
        if chosen.output == "-":
            for line in lines:
                print(line)  # noqa: T201 -- the command's output
            return ""
        with Path(chosen.output).open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(f"{line}\n")
                count += 1
    return f"Wrote {count} lines to {chosen.output}."


def _import(chosen: argparse.Namespace) -> str:
    from metricat_hub.store.embedded import exchange  # noqa: PLC0415 -- as above

    with _errors(), closing(_open(settings_of(chosen))) as store, _input(chosen.file) as lines:
        result = exchange.import_lines(store, lines)
    text = (
        f"Imported {result.accepted} samples. {result.duplicates} already existed, and {result.rejected} were rejected."
    )
    if result.bad_lines:
        shown = "\n".join(result.errors)
        raise CommandError(
            f"{text}\n{result.bad_lines} lines are not valid:\n{shown}\nCorrect these lines, and import the file again."
        )
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
        raise CommandError(f"--match {text}: not a series selector. Use for example 'up{{node=\"a\"}}'.")
    return list(node.matchers)
