"""Run the Metricat operator, or update its CRDs (used by the Helm chart)."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import kopf

from metricat_operator import __version__, crds, log_setup, naming, settings
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.lease import Lease
from metricat_operator.controller import kopf_handlers
from metricat_operator.controller.operator import Operator
from metricat_operator.metrics.own import OperatorMetrics
from metricat_operator.servers import health, metrics


def main() -> int:
    """Run the command and return its exit code: 2 for an invalid setting, 1 for a failure."""
    parser = argparse.ArgumentParser(prog="metricat-operator", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="run the operator (default); settings come from METRICAT_* environment variables")
    apply = commands.add_parser("apply-crds", help="create or update the CRDs of the cluster; never deletes any")
    apply.add_argument("folder", type=Path, help="folder with the CRDs as YAML files")
    arguments = parser.parse_args()

    if arguments.command == "apply-crds":
        return asyncio.run(crds.apply(crds.read(arguments.folder)))
    try:
        chosen = settings.read(os.environ)
    except settings.SettingsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (logging is not configured yet)
        return 2
    log_setup.configure(form=chosen.log_format, level=chosen.log_level)
    return asyncio.run(_run(chosen))


async def _run(chosen: settings.Settings) -> int:
    own_metrics = OperatorMetrics()
    _, lease_name = chosen.lease
    lease = Lease(*chosen.lease, chosen.pod_name, chosen.pod_uid)
    client = await Client.connect(own_metrics.count_request, lease)
    try:
        operator = Operator(chosen, client, lease, own_metrics)
        operator_task = kopf_handlers.OperatorTask()
        async with (
            metrics.serving(own_metrics.registry, client, chosen.metrics_port, naming.metrics_reader(lease_name)),
            health.serving(operator, chosen.health_port),
        ):
            await kopf.operator(
                registry=kopf_handlers.registry(operator, operator_task),
                stop_flag=operator_task.ended,
                clusterwide=not chosen.namespaces,
                namespaces=chosen.namespaces,
            )
    finally:
        await client.close()
    return int(operator_task.crashed)


if __name__ == "__main__":
    raise SystemExit(main())
