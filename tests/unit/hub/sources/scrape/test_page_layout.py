"""The values of a page with the lines of the last page."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.sources.scrape.page_layout import PageLayout, values_of


@pytest.mark.parametrize(
    "token", ["0", "-0", "-0.0", "1e5", "1E5", "+1", "01", "1.", ".5", "9007199254740993", "1e-400", "NaN", "+Inf"]
)
def test_values_have_the_bits_of_their_text(token: str) -> None:
    found = values_of([b"1", token.encode()])
    assert found is not None
    assert struct.pack("dd", *found) == struct.pack("dd", 1.0, float(token))


@pytest.mark.parametrize(
    "token", ["", "1_0", "+NaN", "1e999", "0x10", "1,2", "[1]", "true", "1\r", "1\t", " 1", "1 ", '"1"']
)
def test_texts_that_are_not_values_are_refused(token: str) -> None:
    assert values_of([b"1", token.encode()]) is None


def layout_of(page: str) -> PageLayout:
    """Return the layout of a page, all of whose values are 0."""
    samples = sum(bool(line) and not line.startswith("#") for line in page.splitlines())
    return PageLayout(page.encode(), np.zeros(samples), openmetrics=False)


def read(layout: PageLayout, page: str) -> list[float] | None:
    values = layout.read(page.encode(), openmetrics=False)
    return None if values is None else values.tolist()


def test_only_lines_with_the_same_series_are_read() -> None:
    layout = layout_of('# TYPE a gauge\na 0\nb{c="d e"} 0\n')

    def read_lines(*lines: str) -> list[float] | None:
        return read(layout, "".join(f"{line}\n" for line in ("# TYPE a gauge", *lines)))

    assert read_lines("a 1", 'b{c="d e"} 2') == [1, 2]
    first = layout.read(b'# TYPE a gauge\na 1\nb{c="d e"} 2\n', openmetrics=False)
    assert read_lines("a 1", 'b{c="d e"} 3') == [1, 3]
    assert first is not None
    assert first.tolist() == [1, 2]
    for other in ("ab 1", "a{} 1", "a", "a ", "a1", "b 1", "a x", "a 1 2", "a 1 ", "a  1", "", "# a 1"):
        assert read_lines(other, 'b{c="d e"} 3') is None
        assert read_lines("a 1", 'b{c="d e"} 3', other) is None
    assert read_lines("a 4", 'b{c="d e"} 3') == [4, 3]
    assert read(layout, '# TYPE a counter\na 4\nb{c="d e"} 3\n') is None
    assert layout.read(b'# TYPE a gauge\na 4\nb{c="d e"} 3\n', openmetrics=True) is None


def test_blank_line_in_the_place_of_a_sample_is_rejected() -> None:
    layout = layout_of("a 0\n")
    assert read(layout, "\n") is None
    assert read(layout, "a 1\n") == [1]
    assert read(layout, "\n") is None


def test_page_without_its_last_line_break_is_rejected() -> None:
    layout = layout_of("a 0\na 0\n")
    assert read(layout, "a 12\na 3\n") == [12, 3]
    for page in ("a 12\na 3", "a 12", "a 12\na 3\n\n", "\na 12\na 3\n", ""):
        assert read(layout, page) is None
    assert read(layout_of("a 0\nb 0"), "a 1\nb 0") == [1, 0]


@given(
    lines=st.lists(st.sampled_from(["# HELP a b", "", "a", 'b{c="1 2"}', "cc", "# TYPE a gauge"]), max_size=12),
    rounds=st.lists(st.lists(st.sampled_from(["0", "1", "-1.5", "1e3", "12345"]), min_size=12, max_size=12)),
)
def test_values_are_those_of_the_page_whichever_change(lines: list[str], rounds: list[list[str]]) -> None:
    def page(values: list[str]) -> tuple[str, list[float]]:
        shown = [line and not line.startswith("#") for line in lines]
        texts = [f"{line} {value}" if has else line for line, value, has in zip(lines, values, shown, strict=False)]
        return "".join(f"{text}\n" for text in texts), [
            float(value) for value, has in zip(values, shown, strict=False) if has
        ]

    layout = layout_of(page(["0"] * 12)[0])
    for values in rounds:
        text, expected = page(values)
        assert read(layout, text) == expected
