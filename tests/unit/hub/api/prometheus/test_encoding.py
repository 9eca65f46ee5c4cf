"""Prometheus' JSON: values as Go formats them, times in seconds, labels, warnings."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.api.prometheus import encoding


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-12.5, "-12.5"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (1.2345e16, "12345000000000000"),
        (9.007199254740993e15, "9007199254740992"),
        (123456789012345680000.0, "123456789012345680000"),
        (9.999999999999999e20, "999999999999999900000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (-1e22, "-1e+22"),
        (1e-4, "0.0001"),
        (1e-5, "0.00001"),
        (1.5e-5, "0.000015"),
        (1e-6, "0.000001"),
        (9.9e-7, "9.9e-07"),
        (1e-7, "1e-07"),
        (5e-324, "5e-324"),
        (-2.5e-10, "-2.5e-10"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_values_are_formatted_as_go_does(value: float, text: str) -> None:
    assert encoding.format_value(value) == text
    assert encoding.format_values(np.array([value, 1.0])) == [text, "1"]


@given(st.lists(st.floats()))
def test_columns_are_formatted_like_single_values(values: list[float]) -> None:
    assert encoding.format_values(np.array(values, dtype=np.float64)) == [encoding.format_value(one) for one in values]


@given(st.floats(allow_nan=False))
def test_formatted_value_is_the_same_number(value: float) -> None:
    text = encoding.format_value(value)
    assert float(text) == value
    assert ("e" in text) == (value != 0 and math.isfinite(value) and not 1e-6 <= abs(value) < 1e21)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0"), (1435781451781, "1435781451.781"), (1000, "1"), (1001, "1.001"), (1010, "1.010"), (-1, "-0.001")],
)
def test_times_are_seconds(milliseconds: int, text: str) -> None:
    assert encoding.format_time(milliseconds) == text


UP = (("__name__", "up"), ("job", 'a"b'))


def test_every_type_of_result_is_encoded() -> None:
    vector = encoding.vector_json([UP, ()], 1500, np.array([1.0, math.nan]))
    assert json.loads(vector) == [
        {"metric": dict(UP), "value": [1.5, "1"]},
        {"metric": {}, "value": [1.5, "NaN"]},
    ]
    prefixes = encoding.time_prefixes(np.array([1000, 2500]))
    matrix = encoding.matrix_json([(UP, prefixes, np.array([1.0, 2.0])), ((), prefixes[1:], np.array([1e22]))])
    assert json.loads(matrix) == [
        {"metric": dict(UP), "values": [[1, "1"], [2.5, "2"]]},
        {"metric": {}, "values": [[2.5, "1e+22"]]},
    ]
    assert json.loads(encoding.scalar_json(1000, 2.0)) == [1, "2"]
    assert json.loads(encoding.scalar_json(1000, 1e22)) == [1, "10000000000000000000000"]
    assert json.loads(encoding.scalar_json(1000, -1.5e-7)) == [1, "-0.00000015"]
    assert json.loads(encoding.string_json(1000, 'a"\n')) == [1, 'a"\n']
    assert encoding.scalar_json(1760, 2.0) == '[1.76,"2"]'
    assert encoding.string_json(1700, "a") == '[1.7,"a"]'
    assert encoding.scalar_json(10_000, 2.0) == '[10,"2"]'
    assert encoding.vector_json([], 0, np.array([])) == encoding.matrix_json([]) == "[]"


def test_responses_leave_out_empty_warnings_and_infos() -> None:
    assert encoding.success("[]") == b'{"status":"success","data":[]}'
    assert json.loads(encoding.success("[]", ["w"], ["i"])) == {
        "status": "success",
        "data": [],
        "warnings": ["w"],
        "infos": ["i"],
    }
