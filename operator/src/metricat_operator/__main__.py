"""Run the Metricat operator, or update or delete its CRDs (used by the Helm chart)."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from metricat_operator import __version__, crds, log_setup, naming, settings
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.lease import Lease
from metricat_operator.controller.kopf_supervisor import KopfSupervisor
from metricat_operator.controller.operator import Operator
from metricat_operator.metrics.own import OperatorMetrics
from metricat_operator.servers import health, metrics

log = structlog.get_logger(__name__)


def main() -> int:
    """Run the command and return its exit code: 2 for an invalid setting, 1 for a failure."""
    parser = argparse.ArgumentParser(prog="metricat-operator", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command")
    run = commands.add_parser(
        "run", help="run the operator (default); its settings are METRICAT_* environment variables"
    )
    for flag, variable in settings.FLAGS.items():
        run.add_argument(flag, dest=variable, metavar="VALUE", help=f"takes precedence over {variable}")
    apply = commands.add_parser("apply-crds", help="create or update the CRDs of the cluster; delete no CRD")
    apply.add_argument("folder", type=Path, help="folder with the CRDs as YAML files")
    delete = commands.add_parser("delete-crds", help="delete the CRDs, unless the operator of another release runs")
    delete.add_argument("--operator", required=True, metavar="NAMESPACE/NAME", help="operator that may still run")
    arguments = parser.parse_args()

    if arguments.command == "apply-crds":
        return asyncio.run(crds.apply(crds.read(arguments.folder)))
    if arguments.command == "delete-crds":
        return asyncio.run(crds.delete(arguments.operator))
    flags = {name: value for name in settings.FLAGS.values() if (value := getattr(arguments, name, None)) is not None}
    try:
        chosen = settings.read({**os.environ, **flags})
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
        stop = asyncio.Event()
        kopf = KopfSupervisor(operator, chosen.namespaces, lambda: _on_signals(stop.set))
        _on_signals(stop.set)
        async with (
            metrics.serving(own_metrics.registry, client, chosen.metrics_port, naming.metrics_reader(lease_name)),
            health.serving(operator, kopf, chosen.health_port),
        ):
            return await _run_until(stop, operator.run(), kopf.run())
    finally:
        await client.close()


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _run_until(stop: asyncio.Event, main: Coroutine[Any, Any, None], kopf: Coroutine[Any, Any, None]) -> int:
    """Run both until `stop` is set, then cancel both and return the exit code: 1 if one ended before."""
    tasks = [asyncio.create_task(kopf, name="kopf supervisor"), asyncio.create_task(main, name="operator")]
    stopping = asyncio.create_task(stop.wait(), name="stop")
    ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    crashed = stopping not in ended
    for task in ended - {stopping}:
        log.critical(
            "a task of the operator ended unexpectedly; the operator exits",
            task=task.get_name(),
            exc_info=task.exception(),
        )
    for task in [*tasks, stopping]:  # kopf first: then no event arrives while the operator stops
        task.cancel()
        await asyncio.wait([task])
    return int(crashed)


if __name__ == "__main__":
    raise SystemExit(main())
