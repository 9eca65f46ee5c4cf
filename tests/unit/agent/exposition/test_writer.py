"""Pages are valid in both text formats, and reuse unchanged text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.exposition.layout import series_pairs
from metricat_agent.exposition.model import counter, gauge, single
from metricat_agent.exposition.text import label_text, number_text
from metricat_agent.exposition.writer import Writer

if TYPE_CHECKING:
    from metricat_agent.exposition.layout import Format
    from metricat_agent.exposition.model import Metrics

LINK = gauge("node_link", 'Has "quotes"\nand \\ escapes.', "device", "alias")


def test_family_is_written_with_help_type_and_escaped_labels() -> None:
    text = Writer().text([(LINK, [(("eth0", 'a"b\\c\nd'), 1.5), (("lo", ""), 2)]), single(counter("n_total", "N."), 3)])
    assert text == (
        '# HELP node_link Has "quotes"\\nand \\\\ escapes.\n'
        "# TYPE node_link gauge\n"
        'node_link{device="eth0",alias="a\\"b\\\\c\\nd"} 1.5\n'
        'node_link{device="lo",alias=""} 2\n'
        "# HELP n_total N.\n"
        "# TYPE n_total counter\n"
        "n_total 3\n"
    )


def test_family_without_series_is_left_out() -> None:
    assert Writer().text([(LINK, [])]) == ""


def test_wrong_number_of_label_values_is_rejected() -> None:
    with pytest.raises(ValueError, match="zip"):
        series_pairs(LINK, ("eth0",), "text")


def test_bytes_that_are_not_utf8_are_escaped_and_stay_distinct() -> None:
    names = [os_bytes.decode("utf-8", "surrogateescape") for os_bytes in (b"a\xff", b"a\xfe", "aé".encode())]
    assert [label_text(name) for name in names] == ["a\\\\xff", "a\\\\xfe", "aé"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_label_values_survive_escaping(value: str) -> None:
    text = Writer().text([(LINK, [(("eth0", value), 1)])])
    assert text.encode().decode() == text
    line = text.split("\n")[2]
    inside = line.removeprefix('node_link{device="eth0",alias="').removesuffix('"} 1')
    undone = inside.replace("\\\\", "\0").replace("\\n", "\n").replace('\\"', '"').replace("\0", "\\")
    assert undone == value or "\0" in value


@given(st.floats(allow_nan=False) | st.integers(min_value=0, max_value=2**64))
def test_numbers_parse_back_to_the_same_number(number: float) -> None:
    assert float(number_text(number)) == float(number)


def test_special_numbers_have_the_spelling_of_the_format() -> None:
    assert [number_text(number) for number in (math.nan, math.inf, -math.inf, True)] == ["NaN", "+Inf", "-Inf", "1"]


@pytest.mark.parametrize("fmt", ["text", "openmetrics"])
@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ([math.inf], ["+Inf"]),
        ([-math.inf], ["-Inf"]),
        ([math.nan], ["NaN"]),
        ([1.5, math.inf, 2], ["1.5", "+Inf", "2"]),
        ([math.inf, -math.inf], ["+Inf", "-Inf"]),
        ([1.7e308, 1.7e308], ["1.7e+308", "1.7e+308"]),
    ],
)
def test_page_spells_numbers_that_are_not_finite_as_prometheus_does(
    fmt: Format, numbers: list[float], texts: list[str]
) -> None:
    writer = Writer()
    devices = [f"eth{index}" for index in range(len(numbers))]
    finite: Metrics = [(LINK, [((device, ""), 1) for device in devices])]
    metrics: Metrics = [(LINK, [((device, ""), number) for device, number in zip(devices, numbers, strict=True)])]
    for page in (finite, metrics):
        text = writer.text(page, fmt)
    assert [line.rpartition(" ")[2] for line in text.splitlines()[2:]] == texts


def test_changed_families_and_labels_are_written_again() -> None:
    writer = Writer()
    pages: list[Metrics] = [
        [(LINK, [(("eth0", "100%s"), 1), (("lo", ""), 2.5)])],
        [(LINK, [(("eth0", "100%s"), math.nan), (("lo", ""), True)])],
        [(LINK, [(("lo", ""), 3)])],
        [(gauge("node_link", "Other words.", "device", "alias"), [(("lo", ""), 3)])],
        [(LINK, [(("lo", ""), 3)]), single(counter("n_total", "N."), 2**64)],
        [(LINK, [])],
    ]
    forms: tuple[Format, ...] = ("text", "openmetrics", "text")
    for fmt in forms:
        assert [writer.text(page, fmt) for page in pages] == [Writer().text(page, fmt) for page in pages]


def test_removed_devices_leave_nothing_in_the_writer() -> None:
    writer = Writer()
    for number in range(100):
        text = writer.text([(LINK, [((f"veth{number}", ""), number)])])
        assert text.endswith(f'node_link{{device="veth{number}",alias=""}} {number}\n')
    assert len(writer._known["text"].layout.template) < 200
