"""Check, compact, backup, export and import, as functions and as `metricat store`."""

import argparse
import contextlib
import json
import sqlite3
import stat
from pathlib import Path

import pytest

from metricat_cli.errors import CommandError
from metricat_hub.commands import store as command
from metricat_hub.model.errors import StoreLockedError, StoreUnavailableError
from metricat_hub.model.ports import Hints
from metricat_hub.model.samples import STALE
from metricat_hub.store.embedded import EmbeddedStore, Settings, exchange, operations
from metricat_hub.store.embedded.database import FILE
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, Clock, labels, named, open_store, points, read, write

A = labels("m", node="a", text='quote " back \\ line \n end')
B = labels("n_total")
VALUES = [1.5, float(STALE), float("inf"), -0.0, 1e300, float("-inf"), 3.0]


def fill(folder: Path) -> EmbeddedStore:
    store = open_store(folder, Clock(BEGIN + HOUR))
    write(store, {A: [(BEGIN + at * MINUTE, value) for at, value in enumerate(VALUES)], B: [(BEGIN, 2.0)]})
    store.maintain(pack_all=True)
    write(store, {B: [(BEGIN + MINUTE, 3.0)]})
    return store


def content(store: EmbeddedStore) -> str:
    """Return all samples as text, so that NaN equals NaN."""
    return "\n".join(exchange.export(store.iterate([], 0, 2**60), "jsonl"))


def run(*arguments: object) -> str:
    parser = argparse.ArgumentParser(prog="metricat")
    command.add_parser(parser.add_subparsers())
    chosen = parser.parse_args(["store", *map(str, arguments)])
    output = chosen.run(chosen)
    assert isinstance(output, str)
    return output


def test_check_reads_a_running_store_and_names_what_is_damaged(tmp_path: Path) -> None:
    store = fill(tmp_path)
    assert operations.check(tmp_path) == operations.Checked(7, 1, 9, ())
    assert run("check", "--data", tmp_path) == "Read 7 chunks, 1 batches and 9 raw samples. Nothing is damaged."
    store.close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE chunks_raw SET data = zeroblob(30) WHERE id & 255 = 1")
    connection.execute("UPDATE head SET data = zeroblob(30)")
    connection.commit()
    connection.close()
    found = operations.check(tmp_path)
    assert (found.chunks, found.samples) == (7, 1)
    assert [line.partition(" from ")[0].partition(" is damaged")[0] for line in found.damaged] == [
        "batch 1 of the newest samples",
        *['the raw chunk of m{node="a",text="quote \\" back \\\\ line \\n end"}'] * 2,
    ]
    with pytest.raises(CommandError, match="batch 1 of the newest samples is damaged"):
        run("check", "--data", tmp_path)
    assert "Compacted" in run("compact", "--data", tmp_path)
    assert operations.check(tmp_path).damaged == ()


def test_check_reports_damage_of_the_structure(tmp_path: Path) -> None:
    fill(tmp_path).close()
    data = bytearray((tmp_path / FILE).read_bytes())
    connection = sqlite3.connect(tmp_path / FILE)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'chunks_raw'").fetchone()[0]
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    data[(root - 1) * page : (root - 1) * page + 100] = b"\xff" * 100
    (tmp_path / FILE).write_bytes(data)
    damaged = "\n".join(operations.check(tmp_path).damaged)
    assert "the structure of the file is damaged" in damaged
    # The other table is readable, and so are the newest samples.
    store = open_store(tmp_path, Clock(BEGIN + HOUR))
    found = store.select(named("n_total"), 0, 2**60, Hints())
    assert points(found.series[0]) == [(BEGIN + MINUTE, 3.0)]
    assert "malformed" in found.warnings[0]


def test_backup_of_a_running_store_restores_everything(tmp_path: Path) -> None:
    store = fill(tmp_path / "data")
    expected = content(store)
    assert store.backup(tmp_path / "copy") > 0
    write(store, {B: [(BEGIN + 2 * MINUTE, 4.0)]})
    with pytest.raises(StoreUnavailableError, match="exists already"):
        store.backup(tmp_path / "copy")
    restored = open_store(tmp_path / "copy", Clock(BEGIN + HOUR))
    assert content(restored) == expected
    assert write(restored, {B: [(BEGIN, 2.0), (BEGIN + 5 * MINUTE, 5.0)]}).accepted == 1
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "accounts.sqlite")) as other:
        other.executescript("PRAGMA journal_mode = WAL; PRAGMA user_version = 7; CREATE TABLE t AS SELECT 'kept' AS c")
        assert "Copied accounts.sqlite, samples.sqlite3 to" in run(
            "backup", "--data", tmp_path / "data", tmp_path / "second"
        )
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "second").iterdir()} == {
        "accounts.sqlite": 0o600,
        "samples.sqlite3": 0o600,
    }
    with contextlib.closing(sqlite3.connect(tmp_path / "second" / "accounts.sqlite")) as copied:
        assert copied.execute("SELECT c, user_version FROM t, pragma_user_version").fetchall() == [("kept", 7)]
    with pytest.raises(CommandError, match=r"accounts\.sqlite exists already"):
        run("backup", "--data", tmp_path / "data", tmp_path / "second")
    assert content(open_store(tmp_path / "second", Clock(BEGIN + HOUR))) == content(store)


@pytest.mark.parametrize("form", ["jsonl", "openmetrics"])
def test_exported_samples_are_imported_unchanged(tmp_path: Path, form: exchange.Format) -> None:
    store = fill(tmp_path / "data")
    expected = content(store)
    lines = list(exchange.export(store.iterate([], 0, 2**60), form))
    # A clock that is far ahead: an import accepts samples of any age.
    clock = Clock(BEGIN + 3 * DAY)
    target = open_store(tmp_path / "other", clock, exchange.KEEP_ALL)
    result = exchange.import_lines(target, lines)
    real = 9 if form == "jsonl" else 8
    assert (result.accepted, result.duplicates, result.rejected, result.errors) == (real, 0, 0, [])
    assert exchange.import_lines(target, lines).duplicates == real
    found = content(target)
    assert (
        found == expected
        if form == "jsonl"
        else found == expected.replace('"stale",', "").replace(f"{BEGIN + MINUTE},", "", 1)
    )
    # Old samples are downsampled, too.
    by_minute = target.select(named("n_total"), 0, 2**60, Hints(tier="1m"))
    assert (by_minute.tier, points(by_minute.series[0])) == ("1m", [(BEGIN, 2.0), (BEGIN + MINUTE, 3.0)])


def test_promtool_dump_is_imported(tmp_path: Path) -> None:
    store = open_store(tmp_path, Clock(BEGIN + HOUR), exchange.KEEP_ALL)
    lines = [
        f'{{__name__="up", job="a b, c", path="}}\\""}} 1 {BEGIN}',
        f"up 0.5 {BEGIN / 1000}",
        "# TYPE up gauge",
        'http_requests_total{code="200"} 7 1728000001.250 # {trace="x"} 1',
        "broken",
        "up{a=1} 1 1728000000",
        '{"metric":{"__name__":"j"},"values":[1,null],"timestamps":[1728000000000,1728000001000]}',
        '{"metric":{"__name__":"j"},"values":["high"],"timestamps":[1728000002000]}',
    ]
    result = exchange.import_lines(store, lines)
    assert result.accepted == 5
    assert result.bad_lines == 3
    assert [line[:7] for line in result.errors] == ["line 5:", "line 6:", "line 8:"]
    assert result.errors[2] == "line 8: invalid value 'high'; write a number, or one of stale, NaN, Infinity, -Infinity"
    assert read(store, named("up")) == {
        labels("up", job="a b, c", path='}"'): [(BEGIN, 1.0)],
        labels("up"): [(BEGIN, 0.5)],
    }
    assert read(store, named("http_requests_total")) == {
        labels("http_requests_total", code="200"): [(1728000001250, 7.0)]
    }


def test_command_exports_by_selector_and_time_and_imports(tmp_path: Path) -> None:
    store = fill(tmp_path / "data")
    out = tmp_path / "out.jsonl"
    arguments = ("export", "--data", tmp_path / "data", "-o", out, "--match", 'n_total{x=""}')
    # The hub runs: an export only reads.
    assert run(*arguments, "--from", BEGIN // 1000 + 1, "--to", "2024-10-05T00:00:00Z") == f"Wrote 1 lines to {out}."
    assert json.loads(out.read_text()) == {
        "metric": {"__name__": "n_total"},
        "values": [3.0],
        "timestamps": [BEGIN + MINUTE],
    }
    with pytest.raises(CommandError, match="has the store open"):
        run("import", "--data", tmp_path / "data", out)
    store.close()
    message = run("import", "--data", tmp_path / "new", out)
    assert message == "Imported 1 samples. 0 already existed, and 0 were rejected."
    out.write_text("broken\n")
    with pytest.raises(CommandError, match="line 1: expected a series"):
        run("import", "--data", tmp_path / "new", out)
    with pytest.raises(CommandError, match="not a series selector"):
        run(*arguments[:-1], "1 + 1")
    with pytest.raises(CommandError, match="no store exists here"):
        run("check", "--data", tmp_path / "absent")


@pytest.mark.parametrize("action", ["check", "compact", "export", "import", "backup"])
def test_actions_on_a_remote_prometheus_are_refused_with_a_remedy(tmp_path: Path, action: str) -> None:
    fill(tmp_path / "data").close()
    more = {"import": ("-",), "backup": (str(tmp_path / "copy"),)}.get(action, ())
    arguments = (action, "--data", tmp_path / "data", "--store.url=prometheus+http://127.0.0.1:9", *more)
    if action == "backup":
        assert "The samples are in a Prometheus-compatible server. Copy them with its tools." in run(*arguments)
        return
    with pytest.raises(CommandError, match=f"`metricat store {action}` cannot access. Use the server's tools"):
        run(*arguments)


def test_compact_requires_that_the_store_is_closed(tmp_path: Path) -> None:
    store = fill(tmp_path)
    expected = content(store)
    with pytest.raises(StoreLockedError):
        operations.compact(tmp_path)
    store.close()
    operations.compact(tmp_path)
    assert content(open_store(tmp_path, Clock(BEGIN + HOUR))) == expected


def test_statistics_count_series_chunks_and_bytes(tmp_path: Path) -> None:
    store = open_store(tmp_path, Clock(BEGIN + HOUR), Settings(series_limit=2))
    write(store, {A: [(BEGIN, 1.0), (BEGIN + 2 * HOUR, 1.0)], B: [(BEGIN, 1.0)]})
    store.resolve([labels("more")])
    found = store.statistics()
    assert (found.active_series, found.refused_series, found.head_samples) == (2, 1, 2)
    assert found.rejected_samples["too_new"] == 1
    assert found.file_bytes > 0
    store.maintain(pack_all=True)
    raw = store.statistics().tiers["raw"]
    assert (raw.oldest, raw.newest) == (BEGIN - 2 * HOUR, BEGIN)
