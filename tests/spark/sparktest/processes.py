"""Child processes that cannot outlive their parent.

Each child leads a session of its own, so that stopping it stops whatever it has started, and
asks the kernel to be ended when its parent dies. The kernel ties that to the parent's *thread*:
start children from the main thread only.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from .waiting import WaitedTooLong, wait_for

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Stopped(BaseException):
    """SIGINT or SIGTERM arrived; the same way out as for KeyboardInterrupt."""


def stop_on_signals() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP raise `Stopped` in the main thread, so `finally` blocks run."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)  # the clean-up itself is not interrupted
        raise Stopped(signal.Signals(number).name)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop)


class Child:
    """One running child process and the file that takes its output."""

    def __init__(self, name: str, argv: list[str], log: Path, env: dict[str, str], pipe_stdout: bool = False) -> None:
        """Starts `argv`. Output goes to `log`, or with `pipe_stdout` only standard error does."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as out:
            self._log_start = out.tell()
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe_stdout else out,
                stderr=out,
                env=env,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session and process group."""
        return self._process.pid

    @property
    def stdout(self) -> IO[bytes]:
        """Standard output, when it was asked for."""
        assert self._process.stdout is not None, f"{self.name} was started without a pipe"
        return self._process.stdout

    def alive(self) -> bool:
        """Whether the process still runs. One that ended keeps its id until `kill` has collected it."""
        if self._process.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def text(self) -> str:
        """What it has written to its log so far; not what another child wrote there before."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace")

    def wait_for_log(self, found: Callable[[str], str | None], limit_s: float, what: str) -> str:
        """Waits until `found` sees something in the log; fails at once when the process ends."""

        def look() -> str | None:
            value = found(self.text())
            if not value and not self.alive():
                raise RuntimeError(f"{self.name} ended with {self.kill()}:\n{self._tail()}")
            return value

        return wait_for(look, limit_s, f"{self.name}: {what}")

    def wait(self, limit_s: float) -> int:
        """Waits until it has ended by itself, then ends what it left behind. Returns the exit code."""
        wait_for(lambda: not self.alive(), limit_s, f"{self.name} to end")
        return self.kill()

    def terminate(self, grace_s: float = 10) -> int:
        """SIGTERM to the process, then SIGKILL to its whole group. Returns the exit code."""
        if self.alive():
            os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(WaitedTooLong):
                wait_for(lambda: not self.alive(), grace_s, f"{self.name} to end")
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to the whole process group. Returns the exit code; safe to call again.

        The id is still the process' own then: only the call below that collects it sets it free.
        """
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.returncode

    def _tail(self) -> str:
        return "\n".join(self.text().splitlines()[-20:])


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago; for programs that cannot report port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something accepts connections at this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
