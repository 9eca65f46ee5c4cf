"""Generate the inhibition rules for users who write Alertmanager's configuration, from metricat_rules."""

import yaml

from metricat_rules.inhibition import INHIBITIONS, Inhibition, Matcher

BEGIN = "inhibition.py by `make generate`. -->\n"
END = "<!-- The end of what is generated. -->\n"
_OURS = Matcher("service", "=~", "metricat-.+")


def page(before: str) -> str:
    """Return the page with the generated part replaced."""
    head, _, rest = before.partition(BEGIN)
    return f"{head}{BEGIN}\n```yaml\n{snippet()}```\n\n{END}{rest.partition(END)[2]}"


def snippet() -> str:
    """Return `inhibit_rules` of an Alertmanager configuration, with the reason of each as a comment."""
    return "inhibit_rules:\n" + "".join(_rule(rule) for rule in INHIBITIONS)


def _rule(rule: Inhibition) -> str:
    fields = {
        "source_matchers": [str(one) for one in (_OURS, *rule.source)],
        "target_matchers": [str(one) for one in (_OURS, *rule.target)],
        "equal": list(rule.equal),
    }
    lines = [f"{name}: {_in_one_line(value)}\n" for name, value in fields.items()]
    return f"  # {rule.why}\n  - " + "    ".join(lines)


def _in_one_line(value: list[str]) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).strip()
