"""Generate the package diagrams of docs/architecture.md, from the import contracts and the docstrings."""

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN = "<!-- Generated from pyproject.toml and the docstrings by `make generate`; do not edit. -->\n"
END = "<!-- End of the generated part. -->\n"
_SOURCES = ("operator/src", "rules/src", "agent/src", "hub/src", "cli/src", "tools/src")

Layers = Sequence[Sequence[str]]
"""The modules and packages of each layer, the highest layer first."""


def page(before: str, checkout: Path) -> str:
    """Return the page with the generated part replaced."""
    head, _, rest = before.partition(BEGIN)
    contracts = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    parts = [
        _section(package, layers, checkout)
        for contract in contracts
        if contract["type"] == "layers"
        for package, layers in _layers(contract).items()
    ]
    return f"{head}{BEGIN}{''.join(parts)}\n{END}{rest.partition(END)[2]}"


def _layers(contract: Mapping[str, Any]) -> dict[str, Layers]:
    layers = [re.split(r"\s*[|:]\s*", layer) for layer in contract["layers"]]
    return dict.fromkeys(contract["containers"], layers)


def _section(package: str, layers: Layers, checkout: Path) -> str:
    rows = [f"| `{module}` | {_summary(package, module, checkout)} |\n" for layer in layers for module in layer]
    picture = f"```mermaid\n{diagram(layers)}```\n"
    return f"\n### {package}\n\n{picture}\n| module | contents |\n| --- | --- |\n{''.join(rows)}"


def diagram(layers: Layers) -> str:
    """Return a Mermaid flowchart: a box for each layer with its modules, and an arrow to the layer below."""
    lines = ["flowchart TB"]
    for number, layer in enumerate(layers):
        lines += [f'    subgraph layer{number}[" "]', "        direction LR"]
        lines += [f'        module{number}_{place}["{module}"]' for place, module in enumerate(layer)]
        lines.append("    end")
    lines += [f"    layer{number} --> layer{number + 1}" for number in range(len(layers) - 1)]
    return "\n".join(lines) + "\n"


def _summary(package: str, module: str, checkout: Path) -> str:
    """Return the first line of the module's docstring."""
    path = Path(*package.split("."), module)
    candidates = [checkout / source / place for source in _SOURCES for place in (path / "__init__.py", f"{path}.py")]
    found = next(file for file in candidates if file.is_file())
    text = ast.get_docstring(ast.parse(found.read_text())) or ""
    return text.partition("\n")[0].replace("|", "\\|")
