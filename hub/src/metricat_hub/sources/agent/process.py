"""The agent of this machine as a child process. The hub starts it, restarts it when it ends, and stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOG = logging.getLogger(__name__)
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0
_HEALTHY_SECONDS = 60.0
"""Seconds after which the delay of restarts is reset to the first value."""
_STOP_SECONDS = 5.0
_INVALID_SETTING = 2
"""The agent's exit status for an invalid setting. The hub does not restart the agent then."""
_LINUX_CHILD = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,15);os.getppid()==int(sys.argv.pop(1)) or sys.exit(0);"
    "from metricat_agent.__main__ import main;sys.exit(main())"
)
"""Starts the agent with PR_SET_PDEATHSIG, so that the kernel stops the agent even if the hub is killed."""


class AgentProcess:
    """The agent as a child process, which listens on a loopback port."""

    def __init__(
        self, node: str, arguments: Sequence[str], environment: Mapping[str, str], first_delay: float = _FIRST_DELAY
    ) -> None:
        """`node` is the node's name, `arguments` are flags of the agent in addition to its address."""
        self.address = f"127.0.0.1:{_free_port()}"
        self._arguments = (f"--web.listen-address={self.address}", *arguments)
        self._environment = {**environment, "NODE_NAME": node}
        self._first_delay = first_delay
        self._process: asyncio.subprocess.Process | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process ID; None while the agent does not run."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def wait_until_listening(self, seconds: float) -> bool:
        """Wait until the agent accepts connections; return False after a timeout of `seconds`."""
        host, _, port = self.address.partition(":")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return True
            await asyncio.sleep(0.05)
        return False

    async def run(self) -> None:
        """Run the agent until the task is cancelled, then stop the agent. Return if the agent rejects a setting."""
        delay = self._first_delay
        try:
            while True:
                started = asyncio.get_running_loop().time()
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, *self._command(), env=self._environment, stdin=asyncio.subprocess.DEVNULL
                )
                status = await self._process.wait()
                if status == _INVALID_SETTING:
                    _LOG.error(
                        "the agent rejects a setting and does not run. Correct the setting in the agent's settings "
                        "file, and restart the hub"
                    )
                    return
                if asyncio.get_running_loop().time() - started > _HEALTHY_SECONDS:
                    delay = self._first_delay
                _LOG.warning("the agent ended with status %s; the hub starts the agent again in %g s", status, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
                self.restarts += 1
        finally:
            await self._end()

    def _command(self) -> tuple[str, ...]:
        if sys.platform == "linux":
            return ("-c", _LINUX_CHILD, str(os.getpid()), *self._arguments)
        return ("-m", "metricat_agent", *self._arguments)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
