"""Generate the reference page of the agent's metrics from the collectors' declarations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.push import metrics as push
from metricat_agent.scrape.registry import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.collectors import Collector
    from metricat_agent.exposition.model import Family

_HEAD = """# Metrics of the agent

This page lists the metrics of the agent, by collector. `make generate` writes it from the declarations in
`agent/src/metricat_agent/collectors/`. Some collectors, such as `meminfo` and `zfs`, also expose fields that the kernel
reports and no declaration names. If node_exporter has the same metric family, the names and labels are equal.
A series about the node exists only while the kernel reports its value.
"""


def page(table: Mapping[str, type[Collector]]) -> str:
    """Return the page as Markdown; equal declarations result in equal pages."""
    parts = [_HEAD]
    for name, collector in sorted(table.items()):
        parts.append(f"\n## {name}: {collector.summary}\n\n`--collector.{name}` ({_default(collector)})\n")
        for option in collector.options:
            given = f" (`{option.default}`)" if option.default else ""
            parts.append(f"\n`--collector.{name}.{option.name}`: {option.what}{given}\n")
        for flags in collector.filter_flags:
            parts.append(f"\n`--collector.{name}.{flags.exclude}`: excludes matching {flags.what}. Default:")
            parts.append(f"\n\n    {flags.default_exclude}\n" if flags.default_exclude else " none.\n")
            if flags.include:
                parts.append(f"\n`--collector.{name}.{flags.include}`: includes only matching {flags.what}.\n")
        parts.append(_rows(collector.families))
    parts.append("\n## Every scrape\n")
    parts.append(_rows(FAMILIES))
    parts.append("\n## Every scrape of an agent that pushes\n")
    parts.append(_rows(push.FAMILIES))
    return "".join(parts)


def _default(collector: type[Collector]) -> str:
    return "on by default" if collector.on_by_default else "off by default"


def _rows(families: Iterable[Family]) -> str:
    rows = [
        f"| `{family.name}` | {family.kind} | {family.unit} | {', '.join(family.labels)} | {_cell(family.help)} |\n"
        for family in sorted(families, key=lambda family: family.name)
    ]
    return "\n| metric | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n" + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
