"""The parsers agree with the official ones in Python on valid pages, and end with an error on any other bytes.

The integration test `test_scrapes_as_prometheus.py` compares them with Prometheus.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as text_families

from metricat_hub.sources.scrape.page import Meta, PageError, Sample, labels_of, parse, parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

NAMES = st.from_regex(r"[a-z_:][a-z0-9_:]{0,8}", fullmatch=True)
LABELS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), st.text(max_size=8), max_size=4)
NUMBERS = st.floats() | st.integers(-(10**15), 10**15)


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def line(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inner}}} {value}" if labels else f"{name} {value}"


def parsed(page: str, *, openmetrics: bool) -> list[tuple[dict[str, str], str, int | None]]:
    return [
        (labels_of(entry.series, b""), repr(entry.value), entry.time)
        for entry in parse(page.encode(), openmetrics=openmetrics)
        if isinstance(entry, Sample)
    ]


def official(families: Iterable[Metric]) -> list[tuple[dict[str, str], str, int | None]]:
    return [
        ({"__name__": sample.name, **sample.labels}, repr(float(sample.value)), None)
        for family in families
        for sample in family.samples
    ]


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, LABELS, NUMBERS), max_size=5))
def test_text_pages_have_the_samples_that_the_official_parser_finds(
    samples: list[tuple[str, dict[str, str], float]],
) -> None:
    page = "\n".join(line(*sample) for sample in samples) + "\n"
    assert parsed(page, openmetrics=False) == official(text_families(page))


@settings(max_examples=50)
@given(st.dictionaries(NAMES, st.tuples(LABELS, NUMBERS), max_size=5))
def test_openmetrics_pages_have_the_samples_that_the_official_parser_finds(
    samples: dict[str, tuple[dict[str, str], float]],
) -> None:
    page = "".join(f"{line(name, *rest)}\n" for name, rest in samples.items()) + "# EOF\n"
    found = parsed(page, openmetrics=True)
    assert found == [
        ({"__name__": name, **labels}, repr(float(value)), None) for name, (labels, value) in samples.items()
    ]
    try:
        theirs = official(cast("Any", openmetrics_parser).text_string_to_metric_families(page))
    except ValueError:
        return  # the official parser rejects some names of families, as `a` next to `a_total`
    assert sorted(map(str, found)) == sorted(map(str, theirs))


@pytest.mark.parametrize("openmetrics", [False, True])
@settings(max_examples=50)
@given(page=st.binary(max_size=200) | st.text('abc{}="\\\n #1. ,', max_size=60).map(str.encode))
@example(page=b'a{b="' + b"\\" * 99)
def test_any_bytes_are_parsed_or_rejected(page: bytes, *, openmetrics: bool) -> None:
    message = ""
    try:
        for entry in parse(page, openmetrics=openmetrics):
            if isinstance(entry, Sample):
                labels_of(entry.series, entry.kind)
    except PageError as error:
        message = str(error)
    assert len(message) < 1000
    assert message.isprintable()


@pytest.mark.parametrize(
    "page",
    [
        b"a{" + b'x="1" ' * 20_000 + b"?",
        b"a" + b" " * 200_000 + b"?",
        b'a{x="' + b"\\" * 200_000,
        b"a{" + b'"x",' * 50_000,
        b"# HELP " + b" " * 200_000,
        b"{" * 200_000,
        b'a{x="1"' + b" ," * 100_000,
    ],
)
def test_hostile_pages_take_time_in_proportion_to_their_length(page: bytes) -> None:
    """With a quadratic expression, this test would take minutes."""
    for openmetrics in (False, True):
        with pytest.raises(PageError):
            list(parse(page, openmetrics=openmetrics))


@pytest.mark.parametrize("text", [b"1_0", b"0x10", b"+nan", b"-NaN", b"1e400", b"", b" 1", b"1\r", b"1e", b"\xd9\xa1"])
def test_values_that_go_rejects_are_invalid(text: bytes) -> None:
    with pytest.raises(PageError, match="invalid value"):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"+Inf", math.inf), (b"-infinity", -math.inf), (b"inf", math.inf), (b".5", 0.5), (b"5.", 5.0), (b"1e-400", 0.0)],
)
def test_values_that_go_accepts_are_valid(text: bytes, value: float) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        *(("1", "1.0"), ("0.005", "0.005"), ("1e6", "1e+06"), ("123456", "123456.0"), ("1234567", "1.234567e+06")),
        *(("1e-5", "1e-05"), ("0.0001", "0.0001"), ("+Inf", "+Inf"), ("inf", "+Inf"), ("-1.50", "-1.5"), ("x", "x")),
        *(("0", "0.0"), ("-0", "-0.0"), ("1e21", "1e+21"), ("NaN", "NaN")),
    ],
)
def test_bounds_of_buckets_have_the_notation_of_openmetrics(bound: str, text: str) -> None:
    assert labels_of(f'h{{le="{bound}"}}'.encode(), b"histogram")["le"] == text
    assert labels_of(f'h{{le="{bound}"}}'.encode(), b"gauge")["le"] == bound


def test_metadata_has_type_help_and_unit() -> None:
    page = b'# TYPE a_seconds counter\n# HELP a_seconds b\\\\c\\n\\"d\\"\n# UNIT a_seconds seconds\n# EOF\n'
    found = [entry for entry in parse(page, openmetrics=True) if isinstance(entry, Meta)]
    assert [(meta.keyword, meta.name, meta.text, meta.type) for meta in found] == [
        (b"TYPE", "a_seconds", "", "counter"),
        (b"HELP", "a_seconds", 'b\\c\n"d"', "unknown"),
        (b"UNIT", "a_seconds", "seconds", "unknown"),
    ]


def test_errors_name_the_line() -> None:
    with pytest.raises(PageError, match=r"invalid line in line 3: 'c\{'"):
        list(parse(b"a 1\nb 1\nc{\n", openmetrics=False))
