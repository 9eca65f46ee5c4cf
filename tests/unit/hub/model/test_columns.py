"""Operations on columns of numbers."""

import subprocess
import sys

import numpy as np
import pytest

from metricat_hub.model.columns import distinct


@pytest.mark.parametrize(("numbers", "expected"), [([], []), ([3], [3]), ([2, -1, 2, 2, 0, -1], [-1, 0, 2])])
def test_distinct_numbers_ascend(numbers: list[int], expected: list[int]) -> None:
    assert distinct(np.array(numbers, np.int64)).tolist() == expected


def test_distinct_numbers_need_no_masked_arrays() -> None:
    code = (
        "import sys, numpy; from metricat_hub.model.columns import distinct; distinct(numpy.array([1, 1]));"
        "sys.exit('numpy.ma' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
