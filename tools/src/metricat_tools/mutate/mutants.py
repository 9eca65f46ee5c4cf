"""Mutants: copies of a module with one small change each. Pure.

Only expressions inside functions change. Declarations, defaults, decorators and texts stay, because a change to them
tests values instead of behaviour.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CONDITIONALS = (ast.If, ast.While, ast.IfExp)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change to an expression of a module."""

    line: int
    before: str
    after: str
    source: bytes
    """The whole module with the change."""


def mutants(source: bytes) -> list[Mutant]:
    """Return the mutants of a module, in the order of the source."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    found = []
    for node, replacement in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = offsets[node.lineno - 1] + node.col_offset, offsets[node.end_lineno - 1] + node.end_col_offset
        after = ast.unparse(replacement)
        mutated = source[:start] + f"({after})".encode() + source[end:]
        found.append(Mutant(node.lineno, ast.unparse(node), after, mutated))
    return sorted(found, key=lambda mutant: mutant.line)


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield each expression to change, and its replacement."""
    for node in _functions_bodies(tree):
        if isinstance(node, ast.expr) and (replacement := _replacement(node)) is not None:
            yield node, replacement
        for condition in _conditions(node):
            if _replacement(condition) is None:
                yield condition, ast.UnaryOp(ast.Not(), condition)


def _functions_bodies(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of all functions' bodies once, without annotations and formatted strings."""
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        for statement in tree.body:
            yield from _inside(statement)
        return
    for child in ast.iter_child_nodes(tree):
        yield from _functions_bodies(child)


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr):
        return  # Python 3.11 gives the expressions inside wrong positions
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _functions_bodies(node)
        return
    yield node
    for name, field in ast.iter_fields(node):
        if name == "annotation":
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST):
                yield from _inside(child)


def _conditions(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, _CONDITIONALS):
        return [node.test]
    return node.ifs if isinstance(node, ast.comprehension) else []


def _replacement(node: ast.expr) -> ast.expr | None:
    """Return the changed expression; None if this kind of expression stays."""
    replacement: ast.expr | None = None
    match node:
        case ast.Compare(left, [first, *rest], comparators):
            replacement = ast.Compare(left, [_COMPARISONS[type(first)](), *rest], comparators)
        case ast.BoolOp(operator, values):
            replacement = ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            replacement = operand
        case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC:
            replacement = ast.BinOp(left, _ARITHMETIC[type(operator)](), right)
        case ast.Constant(bool() as value):
            replacement = ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            replacement = ast.Constant(value + 1)
    return replacement
