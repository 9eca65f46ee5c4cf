"""A parsed template, and its execution."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from metricat_hub.evaluation.templates import go_format
from metricat_hub.evaluation.templates.errors import TemplateError
from metricat_hub.evaluation.templates.functions import (
    FUNCTIONS,
    LAZY,
    NAMES,
    OF_DATA,
    QueryResult,
    TemplateData,
    truth,
)
from metricat_hub.evaluation.templates.nodes import (
    Call,
    Condition,
    Constant,
    Dot,
    Fields,
    Jump,
    Loop,
    Node,
    Operand,
    Output,
    Pipeline,
    Text,
    Variable,
)
from metricat_hub.evaluation.templates.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OF_DATA = re.compile(rf"\b(?:{'|'.join(OF_DATA)})\b")
_VARIABLES = ("$labels", "$externalLabels", "$externalURL", "$value")
_MOST_CHARACTERS = 1_000_000
_MOST_STEPS = 100_000
_ABSENT = object()


class Template:
    """A template of a label or an annotation."""

    def __init__(self, source: str) -> None:
        """Parse the template.

        Raises:
            TemplateError: the template is not valid, or uses an unsupported feature. The message has the line.
        """
        self.source = source
        self.is_fixed = not _OF_DATA.search(source)
        """Whether the text depends only on the labels and the value of the alert."""
        self._nodes = parse(source, NAMES, _VARIABLES) if "{{" in source else (Text(source),) if source else ()
        self.is_of_labels = self.is_fixed and _reads(self._nodes) <= {Variable("$labels")}
        """Whether the text depends on nothing but the labels of the alert."""

    def expand(self, data: TemplateData) -> str:
        """Return the text of the template for an alert.

        Raises:
            TemplateError: a function fails, or the text or the number of steps exceeds its limit.
        """
        if len(self._nodes) == 1 and isinstance(self._nodes[0], Text):
            return self._nodes[0].text
        return _Execution(data).run(self._nodes)


def _reads(part: object) -> set[object]:
    """Return the variables and current values that a part of a syntax tree reads."""
    if isinstance(part, Variable | Dot):
        return {part}
    inner = (
        part
        if isinstance(part, tuple)
        else [getattr(part, one.name) for one in fields(part)]
        if is_dataclass(part)
        else ()
    )
    return {found for one in inner for found in _reads(one)}


class _BreakError(Exception):
    """`break` within `range`."""


class _ContinueError(Exception):
    """`continue` within `range`."""


class _Execution:
    def __init__(self, data: TemplateData) -> None:
        self._data = data
        self._parts: list[str] = []
        self._characters = self._steps = 0

    def run(self, nodes: Sequence[Node]) -> str:
        """Return the text."""
        data = self._data
        names = {"$": data, **dict.fromkeys(_VARIABLES)}
        names |= {"$labels": data.labels, "$externalLabels": data.external_labels}
        names |= {"$externalURL": data.external_url, "$value": data.value}
        self._write(nodes, data, ChainMap(names))
        return "".join(self._parts)

    def _write(self, nodes: Sequence[Node], dot: object, names: ChainMap[str, object]) -> None:
        for node in nodes:
            self._count()
            match node:
                case Text():
                    self._append(node.text)
                case Output():
                    self._output(node, dot, names)
                case Condition():
                    value = self._value(node.value, dot, names)
                    inner = names.new_child({node.variable: value} if node.variable else {})
                    if truth(value):
                        self._write(node.body, value if node.sets_dot else dot, inner)
                    else:
                        self._write(node.otherwise, dot, inner)
                case Loop():
                    self._loop(node, dot, names)
                case Jump():
                    raise _BreakError if node.is_break else _ContinueError

    def _output(self, node: Output, dot: object, names: ChainMap[str, object]) -> None:
        value = self._value(node.value, dot, names)
        if not node.variable:
            self._append("<no value>" if value is None else go_format.text(value))
            return
        scope = names.maps[0] if node.declares else next(one for one in names.maps if node.variable in one)
        scope[node.variable] = value

    def _loop(self, node: Loop, dot: object, names: ChainMap[str, object]) -> None:
        value = self._value(node.value, dot, names)
        elements = list(_elements(value))
        if not elements:
            self._write(node.otherwise, dot, names.new_child())
        for key, element in elements:
            variables = {name: one for name, one in ((node.key, key), (node.element, element)) if name}
            try:
                self._write(node.body, element, names.new_child(variables))
            except _ContinueError:
                continue
            except _BreakError:
                break

    def _value(self, operand: Operand, dot: object, names: ChainMap[str, object]) -> object:
        match operand:
            case Constant():
                return operand.value
            case Dot():
                return dot
            case Variable():
                return names[operand.name]
            case Fields():
                value = self._value(operand.base, dot, names)
                for name in operand.names:
                    value = _field(value, name)
                return value
            case Call():
                return self._call(operand, dot, names)
            case Pipeline():
                value = self._value(operand.stages[0], dot, names)
                for stage in operand.stages[1:]:
                    value = self._call(stage, dot, names, value)
                return value

    def _call(self, call: Operand, dot: object, names: ChainMap[str, object], piped: object = _ABSENT) -> object:
        assert isinstance(call, Call)  # noqa: S101 -- the parser guarantees it
        self._count()
        last = () if piped is _ABSENT else (piped,)
        if call.function in LAZY:
            return self._lazy(call, dot, names, last)
        arguments = [*(self._value(one, dot, names) for one in call.arguments), *last]
        own = OF_DATA.get(call.function)
        function = own(self._data) if own else FUNCTIONS[call.function]
        try:
            return function(*arguments)
        except TypeError:
            raise TemplateError(f"{call.function}: wrong number of arguments: {len(arguments)}") from None
        except TemplateError as error:
            raise TemplateError(f"{call.function}: {error}") from None

    def _lazy(self, call: Call, dot: object, names: ChainMap[str, object], last: tuple[object, ...]) -> object:
        """Return the first argument that decides `and` or `or`, otherwise the last one."""
        value: object = _ABSENT
        for one in call.arguments:
            value = self._value(one, dot, names)
            if truth(value) == (call.function == "or"):
                return value
        if last:
            return last[0]
        if value is _ABSENT:
            raise TemplateError(f"{call.function}: wrong number of arguments: 0")
        return value

    def _append(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > _MOST_CHARACTERS:
            raise TemplateError(
                f"the text has more than {_MOST_CHARACTERS} characters; make the template's loops shorter"
            )
        self._parts.append(text)

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TemplateError(f"the template takes more than {_MOST_STEPS} steps; make its loops shorter")


def _elements(value: object) -> Iterator[tuple[object, object]]:
    """Yield the keys and elements over which `range` iterates."""
    if isinstance(value, Mapping):
        yield from ((key, value[key]) for key in sorted(value))
    elif isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from ((at, at) for at in range(value))
    else:
        raise TemplateError(f"range cannot iterate over a {go_format.kind(value)}")


def _field(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return value.get(name, "")
    fields: Mapping[str, object] = {}
    if isinstance(value, QueryResult):
        fields = {"Labels": value.labels, "Value": value.value}
    elif isinstance(value, TemplateData):
        fields = {
            "Labels": value.labels,
            "Value": value.value,
            "ExternalLabels": value.external_labels,
            "ExternalURL": value.external_url,
        }
    if name not in fields:
        remedy = f"use one of {', '.join(fields)}" if fields else "leave out the field"
        raise TemplateError(f"a {go_format.kind(value)} has no field {name}; {remedy}")
    return fields[name]
