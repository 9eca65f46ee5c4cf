"""Quantities have the values that Kubernetes gives them."""

from decimal import Decimal

import pytest

from metricat_operator.api.fields import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", "0.1"), ("1", "1"), ("0.5", "0.5"), ("64Mi", "67108864"), ("1Gi", "1073741824"), ("2k", "2000")],
)
def test_quantities_are_parsed(text: str, value: str) -> None:
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "much", "1.2.3", "10mi", "m"])
def test_invalid_quantity_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity; use for example 100m"):
        quantity(text)
