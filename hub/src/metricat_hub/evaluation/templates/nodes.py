"""The syntax tree of a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, boolean or `nil` (None)."""

    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class Dot:
    """The current value: `.`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable such as `$labels`; `$` is the data of the whole template."""

    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields or keys of a value: `.Labels.node`, `$labels.node` or `(EXPRESSION).Value`."""

    base: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Operands separated by `|`. Each operand after the first is a call with the previous value as last argument."""

    stages: tuple[Operand, ...]


Operand: TypeAlias = Constant | Dot | Variable | Fields | Call | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Text that the output contains unchanged."""

    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """An action: outputs its value, or assigns it. `declares`: by `:=`, which hides an outer variable."""

    value: Pipeline
    variable: str = ""
    declares: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """`if` or `with`: executes the body for a true value, otherwise the alternative. `with` sets the current value."""

    value: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    sets_dot: bool = False
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """`range`: executes the body for each element, or the alternative without elements."""

    value: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    key: str = ""
    element: str = ""


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    is_break: bool


Node: TypeAlias = Text | Output | Condition | Loop | Jump
