"""Mutants are valid modules with one change each; a sample depends on its seed only."""

import ast

import pytest

from metricat_tools.mutate.__main__ import MUTATION_TARGETS, MutationTarget, sample
from metricat_tools.mutate.mutants import mutants

MODULE = '''
LIMIT = 5 + 1  # a declaration

def f(a: int | None, b=1 + 1):
    """A text."""
    x: int | None = a
    if a < b and not x or f"{a + 1}":
        return [y for y in "ä" + "b" if y]
    return 3 if a is None else True
'''


def changes(source: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in mutants(source.encode())]


def test_each_kind_of_expression_inside_functions_is_changed() -> None:
    assert sorted(changes(MODULE)) == sorted(
        [
            ("a < b and (not x) or f'{a + 1}'", "(a < b and (not x)) and f'{a + 1}'"),
            ("a < b and (not x)", "a < b or not x"),
            ("a < b", "a <= b"),
            ("not x", "x"),
            ("'ä' + 'b'", "'ä' - 'b'"),
            ("y", "not y"),
            ("a is None", "a is not None"),
            ("3", "4"),
            ("True", "False"),
        ]
    )


def test_each_mutant_changes_one_place_of_the_module() -> None:
    original = ast.unparse(ast.parse(MODULE))
    for mutant in mutants(MODULE.encode()):
        changed = ast.unparse(ast.parse(mutant.source))
        assert changed != original
        assert sum(one != other for one, other in zip(original.splitlines(), changed.splitlines(), strict=True)) == 1


@pytest.mark.parametrize("target", MUTATION_TARGETS, ids=lambda target: target.code)
def test_sample_depends_on_its_seed_only(target: MutationTarget) -> None:
    assert sample(target, 10, seed=1) == sample(target, 10, seed=1)
    assert sample(target, 10, seed=1) != sample(target, 10, seed=2)
    assert len(sample(target, 10, seed=1)) == 10
    for _, mutant in sample(target, 0, seed=1):
        ast.parse(mutant.source)
