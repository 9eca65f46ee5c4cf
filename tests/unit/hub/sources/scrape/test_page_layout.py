"""The values of a page with the lines of the last page."""

import struct

import pytest

from metricat_hub.sources.scrape.page_layout import PageLayout, values_of


@pytest.mark.parametrize(
    "token", ["0", "-0", "-0.0", "1e5", "1E5", "+1", "01", "1.", ".5", "9007199254740993", "1e-400", "NaN", "+Inf"]
)
def test_values_have_the_bits_of_their_text(token: str) -> None:
    found = values_of([b"1", token.encode()])
    assert found is not None
    assert struct.pack("dd", *found) == struct.pack("dd", 1.0, float(token))


@pytest.mark.parametrize("token", ["", "1_0", "+NaN", "1e999", "0x10", "1,2", "[1]", "true", "1\r", "1\t", '"1"'])
def test_texts_that_are_not_values_are_refused(token: str) -> None:
    assert values_of([b"1", token.encode()]) is None


def test_only_lines_with_the_same_series_are_read() -> None:
    layout = PageLayout(b"\0\1\1\0", b"\1\0\0\1", [b"a", b'b{c="d e"}'], [b"# TYPE a gauge", b""], openmetrics=False)

    def read(*lines: str) -> list[float] | None:
        values = layout.read([b"# TYPE a gauge", *(line.encode() for line in lines), b""], openmetrics=False)
        return None if values is None else values.tolist()

    assert read("a 1", 'b{c="d e"} 2') == [1, 2]
    first = layout.read([b"# TYPE a gauge", b"a 1", b'b{c="d e"} 2', b""], openmetrics=False)
    assert read("a 1", 'b{c="d e"} 3') == [1, 3]
    assert first is not None
    assert first.tolist() == [1, 2]
    for other in ("ab 1", "a{} 1", "a", "a1", "b 1", "a x"):
        assert read(other, 'b{c="d e"} 3') is None
    assert read("a 4", 'b{c="d e"} 3') == [4, 3]
    assert layout.read([b"# TYPE a counter", b"a 4", b'b{c="d e"} 3', b""], openmetrics=False) is None
    assert layout.read([b"# TYPE a gauge", b"a 4", b'b{c="d e"} 3', b""], openmetrics=True) is None


def test_blank_line_in_the_place_of_a_sample_is_rejected() -> None:
    layout = PageLayout(b"\1\0", b"\0\1", [b"a"], [b""], openmetrics=False)
    assert layout.read([b"", b""], openmetrics=False) is None
    values = layout.read([b"a 1", b""], openmetrics=False)
    assert values is not None
    assert values.tolist() == [1]
    assert layout.read([b"", b""], openmetrics=False) is None
