"""`python -m metricat_tools generate [--check]`: write every generated file, or check that they are up to date."""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import yaml

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_operator import naming
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.hub import HUB_ALERTS
from metricat_rules.operator import OPERATOR_ALERTS
from metricat_tools.generate import (
    agent_metrics,
    alertmanager,
    chart,
    chart_values,
    cli,
    condition_tables,
    crd,
    dashboards,
    fields,
    golden,
    grpc_code,
    hub_api,
    hub_settings,
    operator_rules,
    package_diagram,
    runbooks,
    verify,
)

ROOT = Path(__file__).resolve().parents[4]
RULES = "# Generated from rules/src/metricat_rules/operator.py by `make generate`; do not edit.\n"
ALERTS = {"Nodes": CATALOGUE, "Operator": OPERATOR_ALERTS, "Hub": HUB_ALERTS}
KUSTOMIZE = "# Generated from charts/metricat with its default values by `make generate`; do not edit.\n"
HEADER = "# Generated from operator/src/metricat_operator/api by `make generate`; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """YAML without aliases: people find those hard to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (pyyaml's signature)
        """Return True: write every value in full."""
        return True


def main(arguments: Sequence[str]) -> None:
    """Write the generated files, or with `--check` only compare them."""
    parser = argparse.ArgumentParser(
        prog="python -m metricat_tools generate", description="Write every generated file."
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a generated file is out of date")
    if parser.parse_args(arguments).check:
        verify.verify(ROOT)
    else:
        generate()


def generate() -> None:
    """Write every generated file: manifests, the chart's generated parts, pages and tables."""
    for definition in crd.definitions():
        text = HEADER + yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=120)
        for folder in (ROOT / "crds", ROOT / "charts" / "metricat" / "charts" / "crds" / "crds"):
            _write(folder / f"{naming.GROUP}_{definition['spec']['names']['plural']}.yaml", text)
    for case in golden.cases(ROOT / "tests" / "golden"):
        _write(case / "manifests.yaml", golden.text(case))
    _write(ROOT / "docs" / "reference" / "monitoringtarget.md", fields.page())
    _write(ROOT / "docs" / "reference" / "agent-metrics.md", agent_metrics.page(COLLECTORS))
    _write(ROOT / "docs" / "reference" / "cli.md", cli.page())
    _write(ROOT / "docs" / "reference" / "hub-settings.md", hub_settings.page())
    _write(ROOT / "docs" / "reference" / "hub-api.md", hub_api.page())
    for path, code in grpc_code.modules(ROOT).items():
        _write(ROOT / path, code)
    inhibitions = ROOT / "docs" / "alertmanager.md"
    _write(inhibitions, alertmanager.page(inhibitions.read_text()))
    architecture = ROOT / "docs" / "architecture.md"
    _write(architecture, package_diagram.page(architecture.read_text(), ROOT))
    troubleshooting = ROOT / "docs" / "troubleshooting.md"
    _write(troubleshooting, condition_tables.page(troubleshooting.read_text()))
    for board in dashboards.BOARDS:
        _write(ROOT / "charts" / "metricat" / "dashboards" / f"{board.name}.json", dashboards.text(board))
    rules = yaml.dump(operator_rules.groups(), Dumper=_Dumper, sort_keys=False, width=120)
    _write(ROOT / "charts" / "metricat" / "rules" / "operator.yaml", RULES + rules)
    _write(ROOT / "charts" / "metricat" / "values.schema.json", chart_values.text(ROOT / "charts" / "metricat"))
    _write(ROOT / "charts" / "metricat" / "README.md", chart_values.readme(ROOT / "charts" / "metricat"))
    for values in chart.cases(ROOT / "charts" / "metricat"):  # after the chart's own generated files
        renders = ROOT / "tests" / "golden_chart"
        _write(renders / f"{values.stem}.yaml", chart.text(ROOT / "charts" / "metricat", values))
        _write(renders / f"{values.stem}.notes.txt", chart.notes(ROOT / "charts" / "metricat", values))
    _write(ROOT / "config" / "operator.yaml", KUSTOMIZE + chart.without_helm(ROOT / "charts" / "metricat"))
    _write(ROOT / "docs" / "runbooks" / "README.md", runbooks.index(ALERTS))
    for alert in itertools.chain.from_iterable(ALERTS.values()):
        path = ROOT / "docs" / "runbooks" / f"{alert.name}.md"
        _write(path, runbooks.page(alert, path.read_text() if path.exists() else ""))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(path.relative_to(ROOT))
