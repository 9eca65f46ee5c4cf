"""A cursor over the tokens of a query, and errors with line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from metricat_hub.model.errors import LimitError
from metricat_hub.promql import tokens
from metricat_hub.promql.nodes import COMPARISONS

if TYPE_CHECKING:
    from metricat_hub.model.errors import InvalidQueryError

MAXIMUM_DEPTH: Final = 150
PRECEDENCE: Final = {
    "or": 1,
    "and": 2,
    "unless": 2,
    **dict.fromkeys(COMPARISONS, 3),
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
    "atan2": 5,
    "^": 6,
}
UNARY: Final = 5
TYPES: Final = {"scalar": "a scalar", "vector": "an instant vector", "matrix": "a range vector", "string": "a string"}


class TokenCursor:
    """The position among the tokens of a query, and the depth of nesting, which is at most `MAXIMUM_DEPTH`."""

    def __init__(self, query: str, context: tuple[int, int] | None) -> None:
        self.query = query
        self.tokens = tokens.tokenize(query)
        self.index = 0
        self.depth = 0
        self.context = context
        """Step and range of the query in milliseconds, for `step()` and `range()` in durations; None: not given."""
        self.in_context = False
        """Whether a duration of the query has `step()` or `range()`."""

    @property
    def token(self) -> tokens.Token:
        """The current token."""
        return self.tokens[self.index]

    def next(self) -> tokens.Token:
        """Return the current token, and move to the next one."""
        token = self.token
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def at(self, *symbols: str) -> bool:
        """Return whether the current token is one of these symbols."""
        return self.token.kind == "symbol" and self.token.text in symbols

    def word(self, *words: str) -> bool:
        """Return whether the current token is one of these words, ignoring case."""
        return self.token.kind == "name" and self.token.text.lower() in words

    def opens(self) -> bool:
        """Return whether an opening parenthesis follows the current token."""
        following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
        return following.kind == "symbol" and following.text == "("

    def expect(self, symbol: str, where: str) -> tokens.Token:
        """Read a symbol; raise an error if the current token is another one. `where` describes the place."""
        if not self.at(symbol):
            raise self.unexpected(f"`{symbol}` {where}")
        return self.next()

    def unexpected(self, wanted: str) -> InvalidQueryError:
        """Return the error for the current token; `wanted` describes the expected token."""
        found = f"`{self.token.text}`" if self.token.text else "the end of the query"
        return self.error(self.token.position, f"expected {wanted}, found {found}.")

    def error(self, position: int, message: str) -> InvalidQueryError:
        """Return the error for an offset in the query."""
        return tokens.invalid(self.query, position, message)

    def deeper(self, levels: int = 1) -> None:
        """Enter levels of nesting; raise `LimitError` above the limit."""
        self.depth += levels
        if self.depth > MAXIMUM_DEPTH:
            raise LimitError(
                f"the query is nested deeper than the limit of {MAXIMUM_DEPTH} levels. Split it into several queries."
            )
