"""Generate the PromQL expressions of the hub's measures from the operator's recording rules."""

import re

from metricat_operator.alerts.recording import MEASURES, RECORDINGS

_HEAD = '''"""PromQL expressions of the measures by title. `<selector>` restricts series, `<window>` is the rate window.

Generated from operator/src/metricat_operator/alerts/recording.py by `make generate`; do not edit.
"""

# ruff: noqa: E501 -- generated

EXPRESSIONS = {
'''
_RECORDED = re.compile(r"(metricat:[\w:]+)(?:\{([^{}]*)\})?")
_AGENT = re.compile(r"node_\w+")


def text() -> str:
    """Return the module with the expressions."""
    lines = "".join(f"    {_literal(title)}: {_literal(_expanded(series))},\n" for title, series in MEASURES.items())
    return f"{_HEAD}{lines}}}\n"


def _literal(text: str) -> str:
    """Return a literal as the formatter writes it."""
    return repr(text) if '"' in text else f'"{text}"'


def _expanded(expr: str) -> str:
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
        return f"({_expanded(rule)})"

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
