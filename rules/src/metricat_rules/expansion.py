"""Expressions of recorded series over the agent's series, for programs that have no recording rules."""

import re

from metricat_rules.recording import RECORDINGS

_RECORDED = re.compile(r"(metricat:[\w:]+)(?:\{([^{}]*)\})?")
_AGENT = re.compile(r"node_\w+")


def expanded(expr: str) -> str:
    """Return an expression with each recorded series replaced by the expression of its rule.

    Matchers of a recorded series select on labels that the rule keeps or sets. A matcher other than `<selector>`
    therefore filters the result of the rule: `direction` by the operand of `or` that sets it, `mode` by a raw matcher.
    """
    if _AGENT.fullmatch(expr):
        return f"{expr}{{<selector>}}"
    rules = {rule.name: rule.expr for rule in RECORDINGS}

    def replaced(found: re.Match[str]) -> str:
        name, matchers = found[1], [one for one in (found[2] or "").split(",") if one and one != "<selector>"]
        rule = rules[name]
        for matcher in matchers:
            rule = _filtered(rule, matcher)
        return f"({expanded(rule)})"

    return _RECORDED.sub(replaced, expr)


def _filtered(rule: str, matcher: str) -> str:
    """Return the rule's expression with a further matcher."""
    if matcher.startswith("direction="):
        parts = rule.split(" or ")
        [chosen] = [part for part in parts if f'"direction", {matcher.partition("=")[2]}' in part]
        return chosen
    if not matcher.startswith("mode"):
        raise ValueError(f"no rule sets the label of {matcher}")
    return rule.replace("{<selector>}", f"{{{matcher},<selector>}}")
