"""Shuffle services to run Spark against: our daemon, Spark's own Java service, or one that runs already.

Every service listens on 127.0.0.1, serves the files below one root, keeps its registrations in
a state folder, and can be killed and started again at the same port.

    python3 -m sparktest.service daemon:BINARY --root DIR

prints one line of JSON with `port` and `metrics_port` and serves until standard input ends.
"""

import argparse
import json
import os
import re
import select
import sys
import tempfile
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from . import venv, versions
from .processes import Child, Stopped, answers, free_port, stop_on_signals
from .waiting import wait_for

ALLOWED = "java, java:VERSION, daemon:BINARY, at:PORT"
#: Metrics of our daemon: what it has handed out.
BLOCKS_SERVED, BYTES_SERVED = "shuffle_block_transfer_blocks_total", "shuffle_block_transfer_bytes_total"
_READY_LIMIT_S = 30.0


class Service(ABC):
    """A shuffle service that is running when the constructor returns."""

    name: str
    #: Whether RemoveBlocks takes the checksum file along; Java's service leaves it behind.
    removes_checksums = False
    port: int
    metrics_port: int | None = None
    #: Settings of Spark beside the usual ones.
    settings: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def kill(self) -> None:
        """Ends the service as a power cut would (SIGKILL)."""

    @abstractmethod
    def restart(self) -> None:
        """Starts it again at the same port with the same state; returns when it serves."""

    def configure(self, settings: dict[str, str]) -> None:
        """Ends the service and starts it again at the same port with these settings of Spark."""
        self.settings = settings
        self.kill()
        self.restart()

    @abstractmethod
    def stop(self) -> None:
        """Ends the service; safe to call again."""

    def metrics(self) -> dict[str, float]:
        """Each Prometheus sample, and its sum over all labels; empty for services without an endpoint."""
        if self.metrics_port is None:
            return {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as reply:
            return parse_metrics(reply.read().decode())


def parse_metrics(text: str) -> dict[str, float]:
    """The samples of Prometheus' text format by name and labels, and their sums by name."""
    sums: dict[str, float] = {}
    for line in text.splitlines():
        found = re.match(r"([A-Za-z_:][\w:]*)(\{.*\})? (\S+)", line)
        if found:
            sums[found[1]] = sums.get(found[1], 0.0) + float(found[3])
            if found[2]:
                sums[found[1] + found[2]] = float(found[3])
    return sums


class DaemonService(Service):
    """Our daemon."""

    name = "shuffle-daemon"
    removes_checksums = True

    def __init__(self, binary: Path, root: Path, folder: Path, secrets_dir: Path | None = None) -> None:
        """Starts `binary` over the local dirs below `root`; state and log go to `folder`.

        With `secrets_dir` applications authenticate, each with the secret in the file of its name there.
        """
        self._binary, self._root, self._folder = binary, root, folder
        self._secrets_dir = secrets_dir
        self.port = 0
        self._child: Child | None = None
        self.restart()

    def restart(self) -> None:
        """See `Service`. The metrics port is a new one."""
        assert self._child is None or not self._child.alive(), "still running"
        state = self._folder / "state"
        state.mkdir(parents=True, exist_ok=True)
        argv = [str(self._binary), "--listen", f"127.0.0.1:{self.port}", "--metrics-listen", "127.0.0.1:0"]
        argv += ["--root", str(self._root), "--state-dir", str(state)]
        if self._secrets_dir:
            argv += ["--conf", "spark.authenticate=true", "--auth-secrets-dir", str(self._secrets_dir)]
        for key, value in self.settings.items():
            argv += ["--conf", f"{key}={value}"]
        self._child = Child(self.name, argv, self._folder / "daemon.log", dict(os.environ), pipe_stdout=True)
        line = self._ready_line(self._child)
        found = re.fullmatch(r"ready listen=\S+:(\d+) metrics=\S+:(\d+)", line)
        if not found:
            self._child.kill()
            raise RuntimeError(f"{self.name} did not become ready, it said {line!r} and logged:\n{self._child.text()}")
        self.port, self.metrics_port = int(found[1]), int(found[2])

    def kill(self) -> None:
        """See `Service`."""
        if self._child:
            self._child.kill()

    def stop(self) -> None:
        """See `Service`."""
        if self._child:
            self._child.terminate()

    def resident_mb(self) -> float:
        """The memory it has resident now, in MB."""
        assert self._child is not None
        status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1000 if found else 0.0

    @staticmethod
    def _ready_line(child: Child) -> str:
        readable, _, _ = select.select([child.stdout], [], [], _READY_LIMIT_S)
        return child.stdout.readline().decode().rstrip("\n") if readable else ""


class JavaService(Service):
    """Spark's own service as its standalone mode ships it, with its recovery store switched on."""

    name = "Spark's Java service"

    def __init__(self, version: str, root: Path, folder: Path) -> None:
        """Starts the service of this Spark release over the local dirs below `root`."""
        self._version, self._root, self._folder = version, root, folder
        self.port = free_port()
        self._child: Child | None = None
        self.restart()

    def restart(self) -> None:
        """See `Service`."""
        home = venv.spark_home(self._version)
        # spark.local.dir is both the list of allowed roots and the place of the recovery store.
        options = f"-Dspark.shuffle.service.port={self.port} -Dspark.local.dir={self._root}"
        env = dict(os.environ, SPARK_HOME=str(home), SPARK_DAEMON_MEMORY="512m", SPARK_LOCAL_IP="127.0.0.1")
        more = " ".join(f"-D{key}={value}" for key, value in self.settings.items())
        env["SPARK_SHUFFLE_OPTS"] = f"{options} {more} -XX:+UseSerialGC"
        argv = [str(home / "bin/spark-class"), "org.apache.spark.deploy.ExternalShuffleService"]
        self._child = Child(self.name, argv, self._folder / "java-service.log", env)
        child = self._child
        wait_for(lambda: answers(self.port) or not child.alive(), _READY_LIMIT_S, f"{self.name} to listen")
        if not child.alive():
            raise RuntimeError(f"{self.name} ended:\n{child.text()}")

    def kill(self) -> None:
        """See `Service`."""
        if self._child:
            self._child.kill()

    def stop(self) -> None:
        """See `Service`."""
        if self._child:
            self._child.terminate()


class RunningService(Service):
    """A service that somebody else started, shares with others and will stop.

    Its metrics are not asked for: they count what the others do, too.
    """

    name = "a running service"

    def __init__(self, port: int) -> None:
        self.port = port

    def kill(self) -> None:
        """Not ours to kill."""
        raise RuntimeError("this story needs a service of its own")

    def restart(self) -> None:
        """Not ours to restart."""
        raise RuntimeError("this story needs a service of its own")

    def stop(self) -> None:
        """Left running."""


def start(spec: str, version: str, root: Path, folder: Path, secrets_dir: Path | None = None) -> Service:
    """Starts what `spec` says: `java`, `java:VERSION`, `daemon:BINARY` or `at:PORT`.

    Only our daemon takes secrets from a folder.
    """
    kind, _, rest = spec.partition(":")
    if kind == "daemon" and rest:
        return DaemonService(Path(rest).resolve(), root, folder, secrets_dir)
    if secrets_dir:
        raise ValueError(f"service {spec!r} takes no folder of secrets")
    if kind == "java":
        return JavaService(rest or version, root, folder)
    if kind == "at" and rest:
        return RunningService(int(rest))
    raise ValueError(f"service {spec!r}: allowed are {ALLOWED}")


def main() -> int:
    """Runs one service until standard input ends."""
    parser = argparse.ArgumentParser(description="Run a shuffle service until standard input ends.")
    parser.add_argument("service", help=ALLOWED)
    parser.add_argument("--root", required=True, type=Path, help="folder that holds all local dirs")
    parser.add_argument("--version", default=versions.newest(), help="Spark release of the Java service")
    options = parser.parse_args()
    stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="sparktest-", ignore_cleanup_errors=True) as folder:
        service = start(options.service, options.version, options.root.resolve(), Path(folder))
        try:
            print(json.dumps({"port": service.port, "metrics_port": service.metrics_port}), flush=True)
            sys.stdin.read()
        finally:
            service.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped:
        sys.exit(130)
