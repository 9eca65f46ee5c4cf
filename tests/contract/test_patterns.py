"""Regular expressions that every supported Python matches correctly."""

import importlib
import pkgutil
import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

PACKAGES = ("metricat_agent", "metricat_hub", "metricat_operator", "metricat_rules", "metricat_cli")
_BACKTRACKING = (codes.BRANCH, codes.MAX_REPEAT, codes.MIN_REPEAT)


def patterns(package: str) -> dict[str, re.Pattern[Any]]:
    """Return the patterns in the modules of a package, by the names of module and constant."""
    root = importlib.import_module(package)
    names = [one.name for one in pkgutil.walk_packages(root.__path__, f"{package}.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


def is_wrong_before_3_11_5(parsed: Any, *, possessive: bool = False) -> bool:
    """Return whether a possessive group contains a choice: https://github.com/python/cpython/issues/106052."""
    for code, argument in parsed:
        if possessive and code in _BACKTRACKING:
            return True
        inner = possessive or code in (codes.POSSESSIVE_REPEAT, codes.ATOMIC_GROUP)
        if any(is_wrong_before_3_11_5(one, possessive=inner) for one in subpatterns(argument)):
            return True
    return False


def subpatterns(argument: Any) -> list[Any]:
    if isinstance(argument, parser.SubPattern):
        return [argument]
    return [found for one in argument for found in subpatterns(one)] if isinstance(argument, tuple | list) else []


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("(?:a|bc)*+", True),
        ("(?:ab?)++", True),
        ("(?>ab?c|d)", True),
        ("a*+b++[c-e]?+", False),
        ("(?:ab*+)*+", False),
        ("(?:a|bc)*", False),
    ],
)
def test_possessive_groups_with_a_choice_are_found(pattern: str, *, wrong: bool) -> None:
    assert is_wrong_before_3_11_5(parser.parse(pattern)) is wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_no_possessive_group_contains_a_choice(package: str) -> None:
    found = patterns(package)
    assert found
    wrong = [name for name, one in found.items() if is_wrong_before_3_11_5(parser.parse(one.pattern, one.flags))]
    assert wrong == []
