"""Expressions of recorded series over the agent's series, for programs that have no recording rules."""

import re

from metricat_rules.recording import RECORDINGS

_RECORDED = re.compile(r"(metricat:[\w:]+)(?:\{([^{}]*)\})?")
_AGENT = re.compile(r"node_\w+")


def expanded(expr: str) -> str:
    """Return an expression with each recorded series replaced by the expression of its rule.

    A recorded series in the expression may have one more matcher than `<selector>`. For `direction`, the function keeps
    the operand of `or` that sets this value. For `mode`, it adds the matcher to the selectors of the raw series.
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
