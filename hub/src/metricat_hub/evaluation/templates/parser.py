"""Parser of templates, which converts texts and actions to a syntax tree."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NoReturn

from metricat_hub.evaluation.templates.errors import TemplateError
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
from metricat_hub.evaluation.templates.tokens import Action, Token, split

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_CONSTANTS = {"true": True, "false": False, "nil": None}
_UNSUPPORTED = ("define", "template", "block")
_CLOSING = ("end", "else")
_MOST_NESTED = 100
_MOST_PARENTHESES = 50


def parse(source: str, functions: Collection[str], variables: Collection[str]) -> tuple[Node, ...]:
    """Return the syntax tree of a template, which may use only these functions and predefined variables.

    Raises:
        TemplateError: the template is not valid, or uses something that is not supported.
    """
    parser = _Parser(split(source), functions, variables)
    body, closing = parser.body(depth=0)
    if closing:
        parser.fail(f"unexpected {{{{{closing}}}}}; remove it, or write if, range or with before it")
    return body


class _Parser:
    def __init__(self, parts: Iterator[str | Action], functions: Collection[str], variables: Collection[str]) -> None:
        self._parts = parts
        self._functions = functions
        self._scopes = [{"$", *variables}]
        self._tokens: list[Token] = []
        self._line = 1
        self._loops = 0
        self._parentheses = 0

    def fail(self, why: str) -> NoReturn:
        raise TemplateError(f"line {self._line}: {why}")

    # Blocks

    def body(self, depth: int) -> tuple[tuple[Node, ...], str]:
        """Return the nodes up to `end`, `else` or the end of the template, and that word."""
        if depth > _MOST_NESTED:
            self.fail(f"more than {_MOST_NESTED} nested blocks")
        nodes: list[Node] = []
        for part in self._parts:
            if isinstance(part, str):
                nodes.append(Text(part))
                continue
            self._tokens, self._line = list(part.tokens), part.line
            if not self._tokens:
                self.fail("an action has no value; write a value between {{ and }}")
            word = self._tokens[0].text if self._tokens[0].kind == "word" else ""
            if word in _CLOSING:
                self._take()
                return tuple(nodes), word
            nodes.append(self._action(word, depth))
            self._end()
        return tuple(nodes), ""

    def _action(self, word: str, depth: int) -> Node:
        if word in _UNSUPPORTED:
            self.fail(f"{word} is not supported in templates of rules; write the text at the place of its use")
        if word in {"break", "continue"}:
            self._take()
            if not self._loops:
                self.fail(f"{word} is only allowed inside range")
            return Jump(word == "break")
        if word in {"if", "with", "range"}:
            self._take()
            return self._block(word, depth)
        variables, declares, value = self._declaration(1)
        return Output(value, variables[0] if variables else "", declares)

    def _block(self, word: str, depth: int) -> Node:
        self._scopes.append(set(self._scopes[-1]))
        variables, _, value = self._declaration(2 if word == "range" else 1)
        self._end()
        line = self._line
        self._loops += word == "range"
        body, closing = self.body(depth + 1)
        self._loops -= word == "range"
        self._scopes.pop()
        otherwise: tuple[Node, ...] = ()
        if closing == "else":
            otherwise, closing = self._otherwise(word, depth)
        if closing != "end":
            self._line = line
            self.fail(f"{word} does not end; write {{{{end}}}} after it")
        if word == "range":
            key, element = ("", *variables)[-2:] if variables else ("", "")
            return Loop(value, body, otherwise, key, element)
        return Condition(value, body, otherwise, word == "with", variables[0] if variables else "")

    def _otherwise(self, word: str, depth: int) -> tuple[tuple[Node, ...], str]:
        """Return the nodes after `else`, and the word that ends them. `else if` is an `if` within `else`."""
        if self._tokens and self._tokens[0].text == word and word in {"if", "with"}:
            self._take()
            if depth >= _MOST_NESTED:
                self.fail(f"more than {_MOST_NESTED} nested blocks")
            return (self._block(word, depth + 1),), "end"
        self._end()
        self._scopes.append(set(self._scopes[-1]))
        body, closing = self.body(depth + 1)
        self._scopes.pop()
        return body, closing

    def _declaration(self, most: int) -> tuple[list[str], bool, Pipeline]:
        """Return the variables before `:=` or `=`, whether they are declared, and the value."""
        texts = [token.text for token in self._tokens]
        for count in range(1, most + 1):
            names, signs = texts[0 : 2 * count : 2], texts[1 : 2 * count : 2]
            are_variables = all(token.kind == "variable" for token in self._tokens[0 : 2 * count : 2])
            is_assignment = len(signs) == count and signs[:-1] == [","] * (count - 1) and signs[-1] in {":=", "="}
            if are_variables and is_assignment:
                return self._assigned(names, declares=signs[-1] == ":=")
        return [], True, self._pipeline()

    def _assigned(self, names: list[str], *, declares: bool) -> tuple[list[str], bool, Pipeline]:
        del self._tokens[: 2 * len(names)]
        if not declares and (unknown := next((name for name in names if name not in self._scopes[-1]), None)):
            self.fail(f"undefined variable {unknown}; declare it before with {{{{ {unknown} := VALUE }}}}")
        value = self._pipeline()
        self._scopes[-1].update(names)
        return names, declares, value

    # Values

    def _pipeline(self) -> Pipeline:
        stages = [self._command()]
        while self._tokens and self._tokens[0].text == "|":
            self._take()
            stage = self._command()
            if not isinstance(stage, Call):
                self.fail("only a function can follow |")
            stages.append(stage)
        return Pipeline(tuple(stages))

    def _command(self) -> Operand:
        """Return an operand, or a function with its arguments."""
        first = self._operand()
        if not isinstance(first, Call) or first.arguments:
            if self._tokens and self._tokens[0].text not in {"|", ")"}:
                self.fail(f"unexpected {self._tokens[0].text}; a value cannot have arguments")
            return first
        arguments = []
        while self._tokens and self._tokens[0].text not in {"|", ")"}:
            arguments.append(self._operand())
        return Call(first.function, tuple(arguments))

    def _operand(self) -> Operand:
        if not self._tokens:
            self.fail("an action ends without a value; write a value before }}")
        token = self._take()
        operand = self._term(token)
        names = [token.text[1:]] if token.kind == "field" else []
        while self._tokens and self._tokens[0].kind == "field" and not self._tokens[0].spaced:
            names.append(self._take().text[1:])
        if names and isinstance(operand, Constant):
            self.fail(f"{token.text} has no fields")
        return Fields(operand, tuple(names)) if names else operand

    def _term(self, token: Token) -> Operand:
        match token.kind:
            case "field":
                return Dot()
            case "string":
                return Constant(self._string(token.text))
            case "number":
                return Constant(self._number(token.text))
            case "variable":
                if token.text not in self._scopes[-1]:
                    self.fail(f"undefined variable {token.text}; use one of {', '.join(sorted(self._scopes[-1]))}")
                return Variable(token.text)
            case "word":
                return self._word(token.text)
            case "symbol":
                return self._symbol(token.text)

    def _word(self, word: str) -> Operand:
        if word in _CONSTANTS:
            return Constant(_CONSTANTS[word])
        if word not in self._functions:
            self.fail(f"unknown function {word}; use one of {', '.join(sorted(self._functions))}")
        return Call(word, ())

    def _symbol(self, text: str) -> Operand:
        if text == ".":
            return Dot()
        if text != "(":
            self.fail(f"unexpected {text}")
        if self._parentheses == _MOST_PARENTHESES:
            self.fail(f"more than {_MOST_PARENTHESES} nested parentheses; use variables")
        self._parentheses += 1
        value = self._pipeline()
        if not self._tokens or self._take().text != ")":
            self.fail("a parenthesis does not end; write ) after the value")
        self._parentheses -= 1
        return value

    def _string(self, text: str) -> str:
        if text.startswith("`"):
            return text[1:-1]
        try:
            return str(ast.literal_eval(text))
        except (SyntaxError, ValueError):
            self.fail(f"invalid string {text}")

    def _number(self, text: str) -> float:
        try:
            return int(text, 0)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            self.fail(f"invalid number {text}")

    def _take(self) -> Token:
        return self._tokens.pop(0)

    def _end(self) -> None:
        if self._tokens:
            self.fail(f"unexpected {self._tokens[0].text} in an action")
