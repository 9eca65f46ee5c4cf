"""Faults of all requests to the API server for a time: the operator does not exit, and recovers."""

import asyncio
import random
import sys
import time

from support import fault_proxy
from support.fault_proxy import FAULTS, Fault, FaultProxy, Request
from support.harness import RunningOperator, eventually
from support.reliability import record

from .conftest import Rig, runs

TARGETS = 3
RECOVERED_SECONDS = 60.0
"""The goal is 15 s. A busy machine must not fail the test."""
WRITES = 5
CHANGES = 3
NAMES = ("reset", "delay", "stall", "429, 1 s", "500", "503", "403", "410", "cut")
FULL_NAMES = {"cut": f"resets after {WRITES} writes", "delay": "delay of 0.1-2 s", "429, 1 s": "429 with Retry-After"}


def delay(proxy: FaultProxy, rng: random.Random) -> Fault:
    """Return a fault that delays each request by up to two seconds."""

    async def forward(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(rng.uniform(0.1, 2))
        await proxy.forward(request, writer)

    return forward


def cut_after_writes(proxy: FaultProxy, count: int) -> Fault:
    """Return a fault that resets every connection after this number of writes."""
    done = 0

    async def forward(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal done
        done += fault_proxy.writes(request)
        await (proxy.forward if done <= count else fault_proxy.reset)(request, writer)

    return forward


def test_operator_recovers_from_each_fault(rig: Rig, proxied_operator: RunningOperator, proxy: FaultProxy) -> None:
    operator = proxied_operator
    rig.churn.create(TARGETS)
    rig.watcher.settle(4 * RECOVERED_SECONDS)
    faults = {name: FAULTS[name] for name in NAMES if name in FAULTS}
    faults |= {"delay": delay(proxy, rig.churn.random), "cut": cut_after_writes(proxy, WRITES)}
    size = f"{rig.form.outage_seconds:.0f} s of each fault"
    for name in NAMES:
        with rig.watcher.excused(), proxy.inject(faults[name]):
            changes = [rig.churn.change() for _ in range(CHANGES)]
            sys.stderr.write(f"{name}: {changes}\n")
            eventually(lambda: proxy.hits, 60)
            time.sleep(rig.form.outage_seconds)  # the length of the outage
            assert runs(operator), f"{name}: the operator exited"
        took = rig.watcher.settle(RECOVERED_SECONDS)
        eventually(operator.ready, RECOVERED_SECONDS)
        record(f"API fault, {FULL_NAMES.get(name, name)}: recovery", f"{took:.1f} s", "≤ 15 s", size)
    assert operator.stop() == 0
    assert operator.errors() == []
    rig.watcher.check()
    record("API faults: exits of the operator", "0", "0", size)
