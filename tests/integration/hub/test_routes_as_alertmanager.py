"""Routes and matchers, judged by Alertmanager's amtool. Debian's release has only the classic grammar of matchers."""

from __future__ import annotations

import itertools
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from metricat_agent.config.yaml_text import read_file
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.dispatch.config_file import parse_plan
from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("default", "chat", "pager", "team-db", "team-web", "archive")
RECEIVERS = "receivers: [" + ", ".join(f"{{name: {name}}}" for name in NAMES) + "]\n"
ROUTES = r"""
route:
  receiver: default
  group_by: [alertname, cluster]
  group_wait: 10s
  routes:
    - matchers: ['severity = "critical"', team!=""]
      receiver: pager
      continue: true
      routes:
        - {match: {team: db}, receiver: team-db}
        - {match_re: {team: 'web|frontend'}, receiver: team-web, group_by: ['...']}
    - matchers: ['{team=~"d.*",severity!~"info|none"}']
      receiver: chat
      routes:
        - matchers: ['node =~ web-[0-9]+']
          continue: true
          receiver: team-web
        - matchers: ["node=\"web-1\""]
          receiver: archive
    - matchers: [severity=info, 'team=""']
      receiver: archive
      group_by: []
    - matchers: ['place="a, b"']
      receiver: chat
"""
LABELS = {
    "severity": ("", "critical", "warning", "info"),
    "team": ("", "db", "web", "frontend", "webx", "dev"),
    "node": ("", "web-1", "web-22", "web-", "aweb-1"),
    "place": ("", "a, b"),
}
MATCHERS = (
    *("a=b", "a = b ", '{a="b",c!="d"}', "a=b,", "{a=b,}", 'a="b,c"', r'a="\"b\""', r'a="b\nc"', r"a=\d", r'a="\d"'),
    *(
        'a=~"b|c"',
        "a=~b.*",
        'a!~"^b$"',
        "a=",
        'a=""',
        'a=~".+"',
        "a=b=c",
        'a="b',
        'a=b"',
        "a",
        "=b",
        "",
        "{}",
        "a=b c=d",
    ),
    *(
        'a=~"("',
        "a=b,,c=d",
        "{a=b",
        "a=b}",
        r'a="\x41"',
        r'a="\\"',
        r"a=b\\",
        "a!b",
        "a==b",
    ),
)


def amtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = ensure("amtool")["amtool"]
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def test_alerts_go_to_the_receivers_that_amtool_returns(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(ROUTES + RECEIVERS)
    root = parse_plan(read_file(str(path)), str(path), NAMES).root
    assert root is not None
    combinations = list(itertools.product(*LABELS.values()))
    chosen = random.Random(1).sample(combinations, 80)

    def theirs(values: tuple[str, ...]) -> str:
        pairs = [f'{name}="{value}"' for name, value in zip(LABELS, values, strict=True) if value]
        done = amtool("config", "routes", "test", f"--config.file={path}", *pairs)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    with ThreadPoolExecutor(2) as threads:
        expected = list(threads.map(theirs, chosen))
    own = [
        ",".join(
            route.receiver
            for route in root.match({name: value for name, value in zip(LABELS, values, strict=True) if value})
        )
        for values in chosen
    ]
    assert own == expected
    assert len(set(expected)) > 6


@pytest.mark.parametrize("matcher", MATCHERS)
def test_matchers_are_valid_if_amtool_accepts_them(tmp_path: Path, matcher: str) -> None:
    path = tmp_path / "alertmanager.yml"
    quoted = matcher.replace("'", "''")
    path.write_text(
        f"route:\n  receiver: default\n  routes:\n    - matchers: ['{quoted}']\n      receiver: chat\n{RECEIVERS}"
    )
    probes = [
        {},
        *({"a": value} for value in ("b", "bb", "c", "b,c", '"b"', "b\nc", "d", r"\d", "A", "\\", "b=c", "ö")),
    ]
    probes.append({"a": "b", "c": "d"})
    if amtool("check-config", path).returncode:
        with pytest.raises(ConfigFileError, match=r"invalid (matcher|regular expression)"):
            parse_plan(read_file(str(path)), str(path), NAMES)
        return
    root = parse_plan(read_file(str(path)), str(path), NAMES).root
    assert root is not None
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda probe: _receivers(path, probe), probes))
    assert [",".join(route.receiver for route in root.match(probe)) for probe in probes] == found


def _receivers(path: Path, labels: dict[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in labels.items()
    }
    pairs = [f'{name}="{value}"' for name, value in escaped.items()]
    done = amtool("config", "routes", "test", f"--config.file={path}", *pairs)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
