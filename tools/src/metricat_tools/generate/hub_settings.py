"""Generate the reference page of the hub's settings."""

from metricat_agent.config.loader import Option
from metricat_hub.config.options import ALIASES, HUB

_HEAD = """# The hub: settings

<!-- Generated from hub/src/metricat_hub/config/options.py by `make generate`; do not edit. -->

`metricat up` and `metricat hub` have the same settings. `metricat-hub` is the same program as `metricat hub`. Give a
setting as a flag, in the YAML file of `--config.file`, or as an environment variable. A flag takes precedence over
the file, and the file over the environment.

In the file, a key is the whole name (`collect.interval: 30s`) or nested at the dots. `${NAME}` is replaced by the
environment variable, and `$${NAME}` means the text `${NAME}`. The sections `global` and `scrape_configs` have
Prometheus' format. The hub uses a change of these two sections within 10 seconds. It reads all other settings at its
start only.

If a setting is invalid, the hub prints the setting, its value and the remedy, and exits with 2. It exits with 1 if it
cannot start, and with 0 after SIGINT or SIGTERM.

The hub needs an API key for every request, except for `/healthz`, `/readyz`, `/docs` and `/openapi.json`. Beyond
loopback it starts only with TLS, or with `--insecure`. The [web config file](agent.md) has the format of the agent's.
"""


def page() -> str:
    """Return the reference page of the hub's settings as Markdown."""
    parts = [_HEAD]
    for title, options in HUB.groups:
        parts.append(f"\n## {title.capitalize() if title else 'General'}\n\n".replace("Http", "HTTP"))
        parts.append("| setting | default | environment variable | meaning |\n| --- | --- | --- | --- |\n")
        parts += map(_row, options)
    return "".join(parts)


def _row(option: Option) -> str:
    names = [HUB.variable(option.name), *(alias for alias, name in ALIASES.items() if name == option.name)]
    default = f"`{option.default}`" if option.default else ""
    value = "" if option.switch else f" {'|'.join(option.choices) or option.metavar}".replace("|", "\\|")
    meaning = f"{option.what[0].upper()}{option.what[1:]}."
    return f"| `--{option.name}{value}` | {default} | {', '.join(f'`{name}`' for name in names)} | {meaning} |\n"
