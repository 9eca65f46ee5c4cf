"""The processes of a cluster: start, wait, find and kill them, without touching other processes.

Each process has its cluster's folder and its role in its environment, and its child processes inherit both. The
environment alone identifies a process of the cluster: no record can be stale, and no crash can happen between a start
and its record. A process ID that the kernel has reused is never treated as ours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from metricat_tools.binaries.debian import path as search_path
from metricat_tools.binaries.progress import tail
from metricat_tools.errors import ToolError

_FOLDER, _ROLE = "METRICAT_CLUSTER_FOLDER", "METRICAT_CLUSTER_ROLE"
_COMMAND = "command"
"""The role of short commands. They do not lead a session, so `find` never returns one."""
_POLL = 0.1
_PROC = Path("/proc")


@dataclass(frozen=True)
class Namespaces:
    """The namespaces of a process: those of the process `holder`, or this process's own."""

    holder: int | None = None
    mounts: bool = False

    def enter(self, command: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `command` inside the namespaces.

        The result uses `nsenter`: `ip netns exec` remounts /sys and hides the cgroups.
        """
        words = [str(word) for word in command]
        if self.holder is None:
            return words
        spaces = [f"--net=/proc/{self.holder}/ns/net"]
        if self.mounts:
            spaces += [f"--mount=/proc/{self.holder}/ns/mnt", "--wdns=/"]
        return ["nsenter", *spaces, "--", *words]


HERE = Namespaces()


@dataclass
class ClusterProcesses:
    """The processes of the cluster whose files are in `folder`."""

    folder: Path
    die_with_us: bool = False
    """The kernel kills each process when the process that started it ends for any reason."""
    _closed: bool = False
    _children: dict[str, int] = field(default_factory=dict, repr=False)
    _commands: set["subprocess.Popen[bytes]"] = field(default_factory=set, repr=False)

    def start(
        self,
        role: str,
        command: Sequence[str | Path],
        namespaces: Namespaces = HERE,
        *,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start a process in its own session, with its output in a log named by its role. Return its process ID."""
        self._refuse_if_closed()
        if existing := self.find(role):
            raise ToolError(f"{role} of {self.folder.name} is already running, as process {existing}")
        words = namespaces.enter(command)
        if self.die_with_us:
            words = ["setpriv", "--pdeathsig=KILL", "--", *words]
        log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for descriptor in pass_fds:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - takes no keyword
        # Not `subprocess`: it warns about a child that continues after this process ends.
        pid = self._children[role] = os.posix_spawnp(
            words[0],
            words,
            {**_clean_environment(), **(environment or {}), **self._marks(role)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log(role)), log, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGPIPE],
        )
        self._await_marks(role)
        return pid

    def run(
        self, command: Sequence[str | Path], namespaces: Namespaces = HERE, *, stdin: IO[bytes] | None = None
    ) -> str:
        """Run a short command and return its output. If it fails, raise an error with its output.

        `close` and `stop_commands` end the command from any thread: a client may never end after its server is killed.
        """
        self._refuse_if_closed()
        with subprocess.Popen(
            namespaces.enter(command),
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self._marks(_COMMAND)},
        ) as process:
            self._commands.add(process)
            try:
                output, errors = self._communicate(process)
            except BaseException:
                process.kill()
                raise
            finally:
                self._commands.discard(process)
        if process.returncode != 0:
            self._refuse_if_closed()
            text = (errors or output).decode(errors="replace").strip()
            if process.returncode < 0:
                text = text or f"it was ended by {signal.Signals(-process.returncode).name}"
            raise ToolError(f"`{' '.join(str(word) for word in command)}` failed: {text}")
        return output.decode(errors="replace")

    def _communicate(self, process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
        """Return a command's output. Raise an error once the cluster is closed.

        The check is needed although `close` kills commands: `close` does not find one that is starting at that moment.
        """
        while True:
            try:
                return process.communicate(timeout=_POLL)
            except subprocess.TimeoutExpired:
                self._refuse_if_closed()
                if process not in self._commands:
                    raise ToolError(
                        f"cluster {self.folder.name}: killed a command, because another step failed: {process.args!r}"
                    ) from None

    def stop_commands(self) -> None:
        """Kill the short commands that threads of this process wait for. The waiting calls raise an error."""
        while self._commands:
            self._commands.pop().kill()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ToolError(f"{self.folder.name} is being removed")

    def _marks(self, role: str) -> dict[str, str]:
        return {_FOLDER: str(self.folder), _ROLE: role, "PATH": search_path()}

    def _await_marks(self, role: str) -> None:
        """Wait until the process can be found: its environment is visible a moment after its start."""
        deadline = time.monotonic() + 1.0
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while self.find(role) is None and time.monotonic() < deadline:
            if os.waitid(os.P_PID, self._children[role], ended) is not None:
                return
            time.sleep(0.001)

    def log(self, role: str) -> Path:
        """Return the log file of a process."""
        return self.folder / "log" / f"{role}.log"

    def running(self) -> dict[int, str]:
        """Return the cluster's running processes with their roles. Child processes have the same role."""
        return dict(_marked(self.folder))

    def find(self, role: str) -> int | None:
        """Return the process that was started with this role. Its children have the role, but do not lead a session."""
        return next((pid for pid, its in self.running().items() if its == role and _leads_session(pid)), None)

    def send(self, role: str, number: signal.Signals) -> None:
        """Send a signal to the process with this role."""
        pid = self.find(role)
        if pid is None:
            raise ToolError(f"{role} of {self.folder.name} does not run. See {self.log(role)}")
        self._kill(pid, number)

    def kill(self, role: str) -> None:
        """Kill the process with this role, as in a crash, and wait until it has ended. Its child processes continue."""

        def remaining() -> dict[int, str]:
            pid = self.find(role)
            return {} if pid is None else {pid: role}

        self._kill_until(remaining)

    def kill_all(self) -> None:
        """Kill every process of the cluster immediately: a temporary cluster has nothing to save."""
        self._kill_until(self.running)

    def close(self) -> None:
        """Kill every process, and refuse new ones from any thread."""
        self._closed = True
        self.kill_all()

    def _kill_until(self, remaining: Callable[[], dict[int, str]], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while alive := remaining():
            for pid in alive:
                self._kill(pid, signal.SIGKILL)
            self._reap()
            if time.monotonic() > deadline:
                listed = ", ".join(f"{role} ({pid})" for pid, role in alive.items())
                raise ToolError(f"these processes do not end, most likely stuck on a disk: {listed}")
            time.sleep(0.02)
        self._reap()

    def wait(self, role: str, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until `ready` is true. Raise an error with the log's end if the process ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            self._refuse_if_closed()
            if (status := self._ended(role)) is not None:
                raise self._failure(role, f"ended with status {status}")
            if time.monotonic() > deadline:
                raise self._failure(role, f"was not ready after {seconds:.0f} s")
            time.sleep(0.05)

    def _failure(self, role: str, what: str) -> ToolError:
        log = self.log(role)
        text = log.read_text(errors="replace") if log.exists() else ""
        if "no space left on device" in text:
            return ToolError(f"{role} {what}. The disk is full; free some space")
        return ToolError(f"{role} {what}; the end of its log is:\n{tail(text)}")

    def _kill(self, pid: int, number: signal.Signals) -> None:
        """Signal a process through a descriptor, after a second check: its ID may belong to another process now."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if _mark(pid, self.folder) is not None:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)

    def _ended(self, role: str) -> int | None:
        """Return an ended child's exit status (0 if another thread has read it). None: it runs, or is not our child."""
        if role not in self._children:
            return None
        try:
            pid, status = os.waitpid(self._children[role], os.WNOHANG)
        except ChildProcessError:
            pid, status = self._children[role], 0  # another thread of this process waited for it
        if pid == 0:
            return None
        del self._children[role]
        return os.waitstatus_to_exitcode(status)

    def _reap(self) -> None:
        for role in list(self._children):
            self._ended(role)


def marked_folders() -> set[Path]:
    """Return the folders of all clusters with running processes."""
    found = (_environment(pid) for pid in _pids())
    return {Path(os.fsdecode(marks[_FOLDER.encode()])) for marks in found if _FOLDER.encode() in marks}


def _marked(folder: Path) -> Iterator[tuple[int, str]]:
    for pid in _pids():
        role = _mark(pid, folder)
        if role is not None:
            yield pid, role


def _mark(pid: int, folder: Path) -> str | None:
    marks = _environment(pid)
    if marks.get(_FOLDER.encode()) != os.fsencode(folder):
        return None
    return os.fsdecode(marks.get(_ROLE.encode(), b""))


def _environment(pid: int) -> dict[bytes, bytes]:
    """Return a process's initial environment. It is empty if the process has ended or may not be read."""
    try:
        pairs = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (pair.partition(b"=") for pair in pairs)}


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _clean_environment() -> dict[str, str]:
    """Return our environment without proxy settings: a cluster's addresses need no proxy."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def started_at(pid: int) -> int:
    """Return a process's start in clock ticks since boot (field 22 of stat, proc(5)); a huge number if it has ended."""
    try:
        return int((_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 1 << 62
