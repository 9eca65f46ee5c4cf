"""The official parsers of pages: each raises for a page that Prometheus or its client library refuses."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from support.promtool import promtool

if TYPE_CHECKING:
    from prometheus_client import Metric

    from metricat_agent.exposition.layout import Format

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
FORMATS: tuple[Format, ...] = ("text", "openmetrics")


def parsed(page: str, fmt: Format) -> list[Metric]:
    """Return the families of a page, from the parser of its format."""
    return list(read_text(page) if fmt == "text" else read_openmetrics(page))  # type: ignore[no-untyped-call]


def samples(page: str, fmt: Format) -> Samples:
    """Return the samples of a valid page. An empty label is like a missing one; raise AssertionError for duplicates."""
    assert parsed(page, fmt) is not None
    found: Samples = {}
    lines = [line for line in page.split("\n") if not line.startswith("#")]
    for family in parsed("\n".join(lines), "text"):  # without types, which make that parser rename counters
        for sample in family.samples:
            key = (sample.name, frozenset((label, value) for label, value in sample.labels.items() if value))
            assert key not in found, f"{fmt}: twice: {key}"
            found[key] = sample.value
    return found


def check(text: str, openmetrics: str) -> Samples:
    """Check a page in both formats with the parsers of Prometheus' Python client; return its samples."""
    found = samples(text, "text")
    assert found.keys() == samples(openmetrics, "openmetrics").keys(), "both formats have the same series"
    return found


def check_with_promtool(page: str) -> None:
    """Check a page in the text format with the parser of Prometheus' Go libraries; its style does not matter."""
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=page.encode(), check=False, capture_output=True, timeout=60
    )
    error = done.stderr.decode()
    assert done.returncode in (0, 3), error
    assert "not unique" not in error, error
