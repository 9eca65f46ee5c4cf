"""The parser of durations, which may be expressions: `[5m * 2]`, `offset (step() + 1m)`."""

from __future__ import annotations

import math

from metricat_hub.promql import tokens
from metricat_hub.promql.token_cursor import PRECEDENCE, UNARY, TokenCursor

_LONGEST = "292y"
"""`MAXIMUM_DURATION` in whole years."""


class DurationParser(TokenCursor):
    """Parses durations. Complete durations are in milliseconds, parts of an expression in seconds."""

    def duration_token(self) -> int:
        """Parse one duration token; return milliseconds."""
        token = self.next()
        value = tokens.milliseconds(token.text)
        if value is None:
            raise self.error(
                token.position, f"invalid duration {token.text!r}. Write units from y to ms, each once, such as 1h30m."
            )
        if value > tokens.MAXIMUM_DURATION:
            raise self.error(token.position, f"the duration {token.text} is too long. Use at most {_LONGEST}.")
        return value

    def positive_duration(self) -> int:
        """Parse the duration of a range, or the step of a subquery; return milliseconds above 0."""
        position = self.token.position
        value = self.in_range(self.duration(0), position)
        if value <= 0:
            if self.in_context and self.context is None:
                return 1
            raise self.error(position, "the duration must be greater than 0.")
        return value

    def signed_duration(self) -> int:
        """Parse the operand of `offset`; return milliseconds. A following operator belongs to the outer expression."""
        position = self.token.position
        sign = -1 if self.at("-") else 1
        if self.at("-", "+"):
            self.next()
        return self.in_range(sign * self.duration_operand(), position)

    def in_range(self, seconds: float, position: int) -> int:
        """Convert seconds to milliseconds; raise `InvalidQueryError` for more than 292 years."""
        if not math.isfinite(seconds) or abs(seconds) * 1000 > tokens.MAXIMUM_DURATION:
            raise self.error(position, f"the duration is out of range. Use a duration from -{_LONGEST} to {_LONGEST}.")
        return rounded(seconds * 1000)

    def duration(self, least: int) -> float:
        """Parse a duration expression up to an operator with a lower precedence than `least`; return seconds."""
        self.deeper()
        value = self.duration_operand()
        while self.token.kind == "symbol" and self.token.text in "+-*/%^" and PRECEDENCE[self.token.text] >= least:
            token = self.next()
            precedence = PRECEDENCE[token.text]
            right = self.duration(precedence if token.text == "^" else precedence + 1)
            value = self.combined(token, value, right)
        self.depth -= 1
        return value

    def combined(self, token: tokens.Token, left: float, right: float) -> float:  # noqa: PLR0911 # one for each operator
        """Apply an operator to two durations in seconds."""
        match token.text:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "^":
                try:
                    value = left**right
                except (OverflowError, ZeroDivisionError):
                    return math.inf
                return value if isinstance(value, float) else math.nan
            case _:
                if right == 0:
                    if self.in_context and self.context is None:
                        return 1
                    raise self.error(token.position, "division by zero in a duration. Use another divisor.")
                return left / right if token.text == "/" else math.fmod(left, right)

    def duration_operand(self) -> float:
        """Parse an operand of a duration expression; return seconds."""
        if self.at("-", "+"):
            sign = -1 if self.next().text == "-" else 1
            return sign * self.duration(UNARY + 1)
        if self.token.kind == "number":
            return tokens.number(self.next().text)
        if self.token.kind == "duration":
            return self.duration_token() / 1000
        if self.at("("):
            self.next()
            value = self.duration(0)
            self.expect(")", "after the duration")
            return value
        return self.duration_call()

    def duration_call(self) -> float:
        """Parse `step()`, `range()`, `min_of()` or `max_of()` in a duration; return seconds."""
        if self.word("step", "range") and self.opens():
            name = self.next().text.lower()
            self.next()
            self.expect(")", f"after `{name}(`")
            self.in_context = True
            step, span = self.context or (1000, 1000)
            return (step if name == "step" else span) / 1000
        if self.word("min_of", "max_of") and self.opens():
            name = self.next().text.lower()
            self.next()
            first = self.duration(0)
            self.expect(",", f"between the arguments of `{name}`")
            second = self.duration(0)
            self.expect(")", f"after the arguments of `{name}`")
            return (min if name == "min_of" else max)(first, second)
        raise self.unexpected("a duration, for example `5m`")


def rounded(value: float) -> int:
    """Round to the nearest integer, halves away from zero, as Go does."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)
