"""The operator's queue of targets while this replica does not lead."""

import asyncio
import contextlib

from kubernetes.aio.client import Configuration

from metricat_operator import settings
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.lease import Lease
from metricat_operator.controller.operator import Operator
from metricat_operator.metrics.own import OperatorMetrics

TARGET = {"metadata": {"namespace": "monitoring", "name": "nodes", "uid": "1", "resourceVersion": "1"}}


def test_a_replica_that_does_not_lead_keeps_each_target_scheduled() -> None:
    async def run() -> int:
        client = Client(Configuration())
        operator = Operator(
            settings.Settings("agent:1"), client, Lease("monitoring", "metricat", "a"), OperatorMetrics()
        )
        operator.on_changed(TARGET, lambda *_: None)
        queue = asyncio.create_task(operator._queue.run(workers=1))
        await asyncio.sleep(0.05)  # the queue has handled the target
        queue.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await queue
        await client.close()
        assert operator._queue.overdue == 0
        return len(operator._queue)

    assert asyncio.run(run()) == 1
