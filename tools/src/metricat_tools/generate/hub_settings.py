"""Generate the reference page of the hub's settings."""

from metricat_agent.config.loader import Option
from metricat_hub.config.options import ALIASES, HUB

_HEAD = """# The hub: settings

<!-- Generated from hub/src/metricat_hub/config/options.py by `make generate`; do not edit. -->

`metricat up` and `metricat hub` have the same settings. `metricat-hub` is the same program as `metricat hub`. You can
give a setting as a flag, in the YAML file of `--config.file`, or as an environment variable. `config.file` itself
cannot be in the file. A flag overrides the file, and the file overrides the environment.

In the file, a key is the whole name of a setting (`collect.interval: 30s`), or the name nested at its dots. The hub
replaces `${NAME}` by the value of the environment variable. `$${NAME}` means the text `${NAME}`.

The file can also have sections: `global` and `scrape_configs` for [scraping](../hub/scraping.md), thresholds under
`rules` for [alerts](../hub/rules.md), `receivers` for [notifications](../hub/notifications.md), and `route`,
`inhibit_rules`, `time_intervals`, `mute_time_intervals` and `escalation` for [routing](../hub/routing.md). A running
hub applies changes of these sections within about 10 seconds. It reads all other settings, and the sections
`rule_files` and `outputs`, only at its start.

If a setting is invalid, the hub prints the setting, its value and the remedy, and exits with status 2. It exits with 1
if it cannot start, and with 0 after SIGINT or SIGTERM.

Every request needs an API key, a session or a password, except the [operations without a key](hub-api.md) and the files
of the web page. Two settings accept other clients: `access.anonymous-loopback` and `access.kubernetes`. To listen on an
address that other machines can reach, the hub needs TLS, or the setting `--insecure`. The file of `--web.config.file`
has the same format as [that of the agent](agent.md#tls-and-passwords).
"""


def page() -> str:
    """Return the reference page of the hub's settings as Markdown."""
    parts = [_HEAD]
    for title, options in HUB.groups:
        parts.append(f"\n## {title[:1].upper()}{title[1:]}\n\n" if title else "\n## General\n\n")
        parts.append("| setting | default | environment variable | meaning |\n| --- | --- | --- | --- |\n")
        parts += map(_row, options)
    return "".join(parts)


def _row(option: Option) -> str:
    names = [HUB.variable(option.name), *(alias for alias, name in ALIASES.items() if name == option.name)]
    default = f"`{option.default}`" if option.default else ""
    value = "" if option.switch else f" {'|'.join(option.choices) or option.metavar}".replace("|", "\\|")
    meaning = f"{option.what[0].upper()}{option.what[1:]}."
    return f"| `--{option.name}{value}` | {default} | {', '.join(f'`{name}`' for name in names)} | {meaning} |\n"
