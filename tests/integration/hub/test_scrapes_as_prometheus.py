"""The scraper and a real Prometheus scrape the same pages with one configuration file, and store the same samples."""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from metricat_hub.model.samples import STALE
from metricat_hub.sources.scrape.config_file import read_scrape_file
from metricat_hub.sources.scrape.scraper import Scraper
from support.memory_store import MemoryStore
from support.page_server import OPENMETRICS, Page, page_server
from support.scrape_pages import OPENMETRICS_PAGES, TEXT_PAGES
from support.scraping_prometheus import ScrapingPrometheus, scraping_prometheus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from metricat_hub.model.labels import Labels
    from metricat_hub.sources.scrape.scraper import TargetStatus

SCRAPES = 5
"""How many scrapes of each target are compared."""
KEPT_BY_PROMETHEUS = {"text-format-changes", "openmetrics-no-eof", "openmetrics-space-last", "label-limit"}
"""Prometheus writes no marker for series that a failing page has before its error. Here all series end."""
_RULED = 'a{x="1",y="Foo Bar",z="x"} 1\nb{x="2",instance="i"} 2\nc_total{dest="10.0.0.1:80",__tmp="t",job="j"} 3\n'
_RULES: dict[str, list[dict[str, Any]]] = {
    "keep": [{"action": "keep", "source_labels": ["__name__"], "regex": "a|b"}],
    "keep-anchored": [{"action": "keep", "source_labels": ["__name__"], "regex": "c"}],
    "drop": [{"action": "drop", "source_labels": ["x"], "regex": "1"}],
    "drop-missing": [{"action": "drop", "source_labels": ["x"], "regex": ""}],
    "drop-joined": [{"action": "drop", "source_labels": ["x", "y"], "separator": "/", "regex": "1/Foo.*"}],
    "replace": [
        {
            "source_labels": ["y"],
            "regex": "(\\w+) (?P<last>\\w+)",
            "target_label": "n",
            "replacement": "$2-${last}-$1x-$$-$9",
        }
    ],
    "replace-target": [{"source_labels": ["x"], "regex": "(.+)", "target_label": "v_$1", "replacement": "y"}],
    "replace-target-empty": [{"source_labels": ["x"], "regex": "(.*)", "target_label": "${1}", "replacement": "y"}],
    "replace-deletes": [{"target_label": "x", "replacement": ""}],
    "replace-always": [{"target_label": "new", "replacement": "value"}],
    "replace-name": [{"source_labels": ["__name__"], "regex": "(.)_total", "target_label": "__name__"}],
    "replace-all-names": [{"target_label": "__name__", "replacement": "same"}],
    "remove-name": [{"action": "labeldrop", "regex": "__name__"}],
    "remove-name-of-one": [
        {"source_labels": ["__name__"], "regex": "a", "target_label": "__name__", "replacement": ""}
    ],
    "labelmap": [{"action": "labelmap", "regex": "(x|y)", "replacement": "m_$1"}],
    "labelmap-chain": [{"action": "labelmap", "regex": "(x|m_x)", "replacement": "m_$1"}],
    "labelmap-same": [{"action": "labelmap", "regex": "x|y|z", "replacement": "one"}],
    "labeldrop": [{"action": "labeldrop", "regex": "x|job"}],
    "labelkeep": [{"action": "labelkeep", "regex": "__name__|case|x"}],
    "hashmod": [{"action": "hashmod", "source_labels": ["x", "y"], "modulus": 17, "target_label": "shard"}],
    "hashmod-large": [
        {"action": "hashmod", "source_labels": ["y"], "modulus": 18446744073709551615, "target_label": "s"}
    ],
    "lowercase": [{"action": "lowercase", "source_labels": ["y"], "target_label": "y"}],
    "uppercase": [{"action": "uppercase", "source_labels": ["y", "z"], "target_label": "u"}],
    "keepequal": [{"action": "keepequal", "source_labels": ["job"], "target_label": "case"}],
    "dropequal": [{"action": "dropequal", "source_labels": ["z"], "target_label": "x"}],
    "case-insensitive": [{"action": "drop", "source_labels": ["y"], "regex": "(?i)FOO bar|baz"}],
    "keep-in-capitals": [{"action": "KEEP", "source_labels": ["__name__"], "regex": "a"}],
    "digits": [{"source_labels": ["dest"], "regex": "([\\d.]+):(\\d{1,5})", "target_label": "ip", "replacement": "$1"}],
    "two-rules": [
        {"source_labels": ["x"], "target_label": "__tmp_x"},
        {"action": "keep", "source_labels": ["__tmp_x"], "regex": ".+"},
    ],
}
_CASED = 'a{x="\u00c4\u00df\u0130\u03a3\u01c5\ufb01"} 1\n'
_MANY = "".join(f'm{{n="{number}"}} {number}\n' for number in range(10))
_VARIANTS: dict[str, tuple[dict[str, Any], list[Page]]] = {
    **{f"rule-{name}": ({"metric_relabel_configs": rules}, [Page(_RULED.encode())]) for name, rules in _RULES.items()},
    **{
        f"rule-{action}-unicode": (
            {"metric_relabel_configs": [{"action": action, "source_labels": ["x"], "target_label": "y"}]},
            [Page(_CASED.encode())],
        )
        for action in ("lowercase", "uppercase")
    },
    "honor-labels": ({"honor_labels": True}, [Page(b'a{job="j",instance="",case2="x"} 1\nb 2\n')]),
    "labels-conflict": ({}, [Page(b'a{job="j",exported_job="e",instance="i",exported_exported_job="f"} 1\n')]),
    "sample-limit": ({"sample_limit": 5}, [Page(b"m 1\n"), Page(_MANY.encode()), Page(b"m 1\n"), Page(b"m 2\nm 3\n")]),
    "sample-limit-exact": ({"sample_limit": 10}, [Page(_MANY.encode())]),
    "sample-limit-after-drop": (
        {"sample_limit": 3, "metric_relabel_configs": [{"action": "keep", "source_labels": ["n"], "regex": "[0-2]"}]},
        [Page(_MANY.encode())],
    ),
    "body-limit": ({"body_size_limit": "100B"}, [Page(b"a 1\n" * 24), Page(b"a 1\n" * 25), Page(b"a 1\n")]),
    "label-limit": ({"label_limit": 5}, [Page(b'a{x="1"} 1\n'), Page(b'a{x="1"} 1\nb{x="1",y="2"} 1\n')]),
    "label-name-limit": ({"label_name_length_limit": 8}, [Page(b'a{x="1"} 1\n'), Page(b'a{xxxxxxxxx="1"} 1\n')]),
    "label-value-limit": (
        {"label_value_length_limit": 30},
        [Page(b'a{x="1"} 1\n'), Page(b'a{x="' + b"1" * 31 + b'"} 1\n')],
    ),
    "ignore-timestamps": ({"honor_timestamps": False}, [Page(b"a 1 1000\n"), Page(b"b 1\n"), Page(b"a 2 1000\n")]),
    "fallback-text": ({"fallback_scrape_protocol": "PrometheusText0.0.4"}, [Page(b"a 1\n", "text/html")]),
    "fallback-openmetrics": ({"fallback_scrape_protocol": "OpenMetricsText1.0.0"}, [Page(b"a 1\n# EOF\n", "")]),
    "no-redirects": ({"follow_redirects": False}, [Page(b"", status=302, headers={"Location": "/text/counter"})]),
    "target-limit": ({"target_limit": 1}, [Page(b"a 1\n")]),
    "slow": ({}, [Page(b"a 1\n", delay=0.05), Page(b"a 2\n", delay=5.0), Page(b"a 3\n")]),
}


def timestamped(now: int) -> dict[str, tuple[dict[str, Any], list[Page]]]:
    """Return cases with explicit timestamps, which must be near the current time."""
    times = [now - 60_000 + 1000 * second for second in range(4)]
    plain = [Page(f"a {at} {at}\nb {at}\n".encode()) for at in times]
    vanishing = [plain[0], Page(b"b 1\n")]
    return {
        "timestamps": ({}, plain),
        "timestamps-vanish": ({}, vanishing),
        "timestamps-vanish-tracked": ({"track_timestamps_staleness": True}, vanishing),
        "timestamps-same-series": ({}, [Page(f"a 1 {times[0]}\na 2 {times[1]}\n".encode())]),
        "timestamps-in-seconds": (
            {},
            [Page(f"a {at} {at / 1000}\nb 1\n# EOF\n".encode(), OPENMETRICS) for at in times],
        ),
    }


def job(name: str, address: str, path: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    targets = [address] if "target_limit" not in settings else [address, address.replace("127.0.0.1", "localhost")]
    group = {"targets": targets, "labels": {"case": name, "__metrics_path__": path}}
    return {"job_name": name, "static_configs": [group], **settings}


def value_text(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def of_hub(samples: Mapping[Labels, Mapping[int, float]], case: str) -> list[dict[str, str]]:
    """Return for each scrape of a case the live series with their values."""
    series = {labels: values for labels, values in samples.items() if dict(labels).get("case") == case}
    [scrapes] = [sorted(values) for labels, values in series.items() if dict(labels)["__name__"] == "up"] or [[]]
    found = []
    for at in scrapes[:SCRAPES]:
        live: dict[str, str] = {}
        for labels, values in series.items():
            newest = max((time for time in values if at - 300_000 < time <= at), default=None)
            if newest is not None and np.float64(values[newest]).tobytes() != STALE.tobytes():
                live[json.dumps(dict(labels), sort_keys=True)] = value_text(values[newest])
        found.append(live)
    return found


def of_prometheus(prometheus: ScrapingPrometheus, case: str) -> list[dict[str, str]]:
    [up] = prometheus.query(f'up{{case="{case}"}}[5m]') or [{"values": []}]
    return [
        {
            json.dumps(series["metric"], sort_keys=True): value_text(float(series["value"][1]))
            for series in prometheus.query(f'{{case="{case}"}}', at)
        }
        for at, _ in up["values"][:SCRAPES]
    ]


def compared(case: str, scrapes: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the parts that must be equal: no durations, and no differences that docs/design/0030-scraper.md lists."""
    found = []
    for scrape in scrapes:
        live = {json.loads(series)["__name__"]: (series, value) for series, value in scrape.items()}
        left = {series: value for series, value in scrape.items() if '"scrape_duration_seconds"' not in series}
        if case in KEPT_BY_PROMETHEUS and live["up"][1] == "0.0":
            left = {live["up"][0]: "0.0"}
        found.append(left)
    return found


async def scrape(config: Path, store: MemoryStore, seconds: float) -> list[TargetStatus]:
    scraper = Scraper(read_scrape_file(str(config)), store)
    running = asyncio.create_task(scraper.run())
    await asyncio.sleep(seconds)
    targets = scraper.targets()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return targets


def differences(case: str, ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> list[str]:
    """Return a line for each series of a scrape that differs."""
    pairs = zip(compared(case, ours), compared(case, theirs), strict=True)
    return [
        f"{case}, scrape {number}: {series}: {one.get(series)} here, {other.get(series)} in Prometheus"
        for number, (one, other) in enumerate(pairs)
        for series in sorted(one.keys() | other.keys())
        if one.get(series) != other.get(series)
    ]


def test_scraper_stores_what_prometheus_stores(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    cases: dict[str, tuple[Mapping[str, Any], Sequence[Page]]] = {
        **{f"text-{name}": ({}, pages) for name, pages in TEXT_PAGES.items()},
        **{f"openmetrics-{name}": ({}, pages) for name, pages in OPENMETRICS_PAGES.items()},
        **_VARIANTS,
        **timestamped(now),
    }
    pages = {f"/{name}": pages for name, (_, pages) in cases.items()}
    with page_server({**pages, "/text/counter-copy": TEXT_PAGES["counter"]}) as server:
        jobs = [job(name, server.address, f"/{name}", settings) for name, (settings, _) in cases.items()]
        timing = {"scrape_interval": "2s", "scrape_timeout": "2s"}
        config = json.dumps({"global": timing, "scrape_configs": jobs})
        with scraping_prometheus(tmp_path, config) as prometheus:
            store = MemoryStore(now + 60_000)
            targets = asyncio.run(scrape(tmp_path / "prometheus.yml", store, 2 * SCRAPES + 6))
            samples = store.samples
            different: list[str] = []
            for case in cases.keys() - {"target-limit"}:
                ours, theirs = of_hub(samples, case), of_prometheus(prometheus, case)
                assert len(ours) == len(theirs) == SCRAPES, case
                different += differences(case, ours, theirs)
            discovered = prometheus.get("targets")["activeTargets"]
    assert not different, "\n".join(different)
    assert {(target.url, target.health) for target in targets} == {
        (target["scrapeUrl"], target["health"]) for target in discovered
    }


TARGETS: dict[str, dict[str, Any]] = {
    "plain": {},
    "params": {"params": {"b": ["1", "2 &"], "a": ["\u00e9"], "module": ["x"]}, "metrics_path": "/a b/\u00e9?c=d"},
    "https": {"scheme": "https", "tls_config": {"insecure_skip_verify": True}},
    "blackbox": {
        "params": {"module": ["http_2xx"]},
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": "127.0.0.1:9"},
        ],
    },
    "durations": {
        "scrape_interval": "90s",
        "scrape_timeout": "1500ms",
        "relabel_configs": [{"target_label": "__scrape_timeout__", "replacement": "1m"}],
    },
    "path-and-scheme": {
        "relabel_configs": [
            {"target_label": "__metrics_path__", "replacement": "/other"},
            {"target_label": "__scheme__", "replacement": "https"},
        ]
    },
    "instance-and-job": {"relabel_configs": [{"regex": "job|__meta_.*", "action": "labeldrop"}]},
    "drop-some": {"relabel_configs": [{"source_labels": ["__address__"], "regex": ".*:1", "action": "drop"}]},
    "drop-all": {"relabel_configs": [{"source_labels": ["__address__"], "regex": "nope", "action": "keep"}]},
    "equal-targets": {"relabel_configs": [{"target_label": "__address__", "replacement": "127.0.0.1:1"}]},
    "meta": {"relabel_configs": [{"regex": "__meta_(.*)", "action": "labelmap", "replacement": "meta_$1"}]},
    "shards": {
        "relabel_configs": [
            {"source_labels": ["__address__"], "modulus": 2, "action": "hashmod", "target_label": "__tmp_shard"},
            {"source_labels": ["__tmp_shard"], "regex": "1", "action": "keep"},
        ]
    },
    "no-address": {"relabel_configs": [{"target_label": "__address__", "replacement": ""}]},
    "bad-interval": {"relabel_configs": [{"target_label": "__scrape_interval__", "replacement": "x"}]},
}
"""Settings of jobs whose targets are compared, apart from their samples."""


def test_targets_and_their_labels_are_those_of_prometheus(tmp_path: Path) -> None:
    groups = [{"targets": ["127.0.0.1:1", "[::1]:2"], "labels": {"a": "b"}}, {"targets": ["localhost"]}]
    (tmp_path / "targets.json").write_text(json.dumps([{"targets": ["127.0.0.1:3"], "labels": {"__meta_x": "y"}}]))
    discovery = [{"files": ["*.json"]}]
    jobs = [
        {"job_name": name, "static_configs": groups, "file_sd_configs": discovery, **settings}
        for name, settings in TARGETS.items()
    ]
    with scraping_prometheus(tmp_path, json.dumps({"scrape_configs": jobs})) as prometheus:
        targets = asyncio.run(scrape(tmp_path / "prometheus.yml", MemoryStore(0), 1))
        deadline = time.monotonic() + 60
        found: dict[str, list[Any]] = {"activeTargets": []}
        while len(found["activeTargets"]) < len(targets) and time.monotonic() < deadline:
            time.sleep(0.2)
            found = prometheus.get("targets")
    # Equal targets are shown once, with the discovered labels of any of them.
    compared = [target for target in targets if target.job != "equal-targets"]
    assert sorted(
        (one.job, one.url, *(text(labels).replace(f"{tmp_path}/", "") for labels in (one.labels, one.discovered)))
        for one in compared
    ) == sorted(
        (
            one["scrapePool"],
            one["scrapeUrl"],
            json.dumps(one["labels"], sort_keys=True),
            json.dumps(without_histograms(one["discoveredLabels"]), sort_keys=True),
        )
        for one in found["activeTargets"]
        if one["scrapePool"] != "equal-targets"
    )
    assert len(targets) == len(found["activeTargets"])
    assert {target.job for target in targets} == TARGETS.keys() - {"drop-all", "no-address", "bad-interval"}


def text(labels: Labels) -> str:
    return json.dumps(dict(labels), sort_keys=True)


def without_histograms(labels: dict[str, str]) -> dict[str, str]:
    """Return discovered labels without those of native histograms, which the scraper does not support."""
    return {name: value for name, value in labels.items() if "histograms" not in name}
