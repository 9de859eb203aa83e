"""A standalone Spark cluster of one master and one worker, in a folder of its own.

    python3 -m sparktest.cluster --version 4.3.0 [--dir DIR]

prints one line of JSON when the worker has registered (see `Cluster`) and tears the cluster down
when standard input ends or a signal arrives. Without `--dir` its folder is temporary.

The worker runs without a shuffle service of its own while the applications use one, as on a
machine where the service is another process. What then happens to shuffle files, from
`org.apache.spark.deploy.worker.Worker` and proved by the stories:

* An executor that exits leaves its files (`DiskBlockManager(deleteFilesOnStop = false)`, because
  the *application* has `spark.shuffle.service.enabled`). The worker then tells its own service
  object `executorRemoved` (`spark.storage.cleanupFilesAfterExecutorExit`), but that object
  never started, knows no executor, and so deletes nothing.
* When the application ends, the worker deletes the application's local dirs. Nobody tells our
  service, which is what happens on Kubernetes, too.
"""

import argparse
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from . import venv
from .processes import Child, Stopped, stop_on_signals

_START_LIMIT_S = 120.0
_WORKER_CORES = 6  # more than the machine may have: executors mostly wait
_JVM_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where a running cluster is; all an application needs to know."""

    version: str
    #: URL of the master.
    master: str
    #: Folder that holds everything below.
    folder: str
    #: What its applications must set, since master and worker have it set.
    settings: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder that holds all local dirs: what the service may serve."""
        return Path(self.folder) / "local"

    @property
    def event_logs(self) -> Path:
        """Where applications write their event logs."""
        return Path(self.folder) / "events"

    @property
    def work(self) -> Path:
        """The worker's folder, with the output of executors as `<app>/<executor>/stderr`."""
        return Path(self.folder) / "work"

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> "Cluster":
        """The reverse of `to_json`."""
        return Cluster(**json.loads(text))


@contextmanager
def running(version: str, folder: Path, settings: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A cluster that lives as long as the `with` block. `folder` is created and left behind.

    `settings` are for master and worker, which must authenticate when their applications do.
    """
    folder = folder.resolve()
    (folder / "events").mkdir(parents=True, exist_ok=True)
    home = venv.spark_home(version)
    argv = [str(home / "bin/spark-class"), "org.apache.spark.deploy.master.Master", *_at("127.0.0.1")]
    master = Child("master", argv, folder / "master.log", _environment(home, settings))
    try:
        url = master.wait_for_log(_find(r"Starting Spark master at (spark://\S+:\d+)"), _START_LIMIT_S, "to listen")
        cluster = Cluster(version, url, str(folder), settings or {})
        with worker(cluster, "127.0.0.1", _WORKER_CORES, settings):
            yield cluster
    finally:
        master.terminate()


@contextmanager
def worker(cluster: Cluster, host: str, cores: int, settings: dict[str, str] | None = None) -> Iterator[None]:
    """One more worker that calls itself `host`. `cores` is what it offers, not what it has.

    A master gives a single executor to the worker that has the most cores free.
    """
    home = venv.spark_home(cluster.version)
    local_dirs = [cluster.root / name for name in ("disk-a", "disk-b")]
    for each in local_dirs:
        each.mkdir(parents=True, exist_ok=True)
    env = _environment(home, settings)
    env.update(SPARK_LOCAL_DIRS=",".join(map(str, local_dirs)), SPARK_WORKER_DIR=str(cluster.work))
    env["SPARK_WORKER_OPTS"] = "-Dspark.shuffle.service.enabled=false -Dspark.worker.cleanup.enabled=false"
    argv = [str(home / "bin/spark-class"), "org.apache.spark.deploy.worker.Worker", *_at(host)]
    argv += ["--cores", str(cores), "--memory", "6g", cluster.master]
    child = Child("worker", argv, Path(cluster.folder) / f"worker-{host}.log", env)
    try:
        child.wait_for_log(_find(r"(Successfully registered with master)"), _START_LIMIT_S, "to register")
        yield
    finally:
        child.terminate()


def _at(host: str) -> list[str]:
    return ["--host", host, "--port", "0", "--webui-port", "0"]


def _environment(home: Path, settings: dict[str, str] | None = None) -> dict[str, str]:
    env = dict(os.environ, SPARK_HOME=str(home), SPARK_LOCAL_IP="127.0.0.1")
    options = [_JVM_OPTIONS, *(f"-D{key}={value}" for key, value in (settings or {}).items())]
    env.update(SPARK_DAEMON_MEMORY="256m", SPARK_DAEMON_JAVA_OPTS=" ".join(options))
    for stray in ("SPARK_CONF_DIR", "SPARK_MASTER_HOST", "SPARK_MASTER_PORT", "SPARK_MASTER_OPTS", "SPARK_LOCAL_DIRS"):
        env.pop(stray, None)
    return env


def _find(pattern: str) -> Callable[[str], str | None]:
    def found(text: str) -> str | None:
        match = re.search(pattern, text)
        return match[1] if match else None

    return found


def main() -> int:
    """Runs one cluster until standard input ends."""
    parser = argparse.ArgumentParser(description="Run a standalone Spark cluster until standard input ends.")
    parser.add_argument("--version", required=True, help="Spark release, one of versions.txt")
    parser.add_argument("--dir", type=Path, help="folder for logs, local dirs and event logs (default: temporary)")
    options = parser.parse_args()
    stop_on_signals()
    with ExitStack() as stack:
        temporary = TemporaryDirectory(prefix="sparktest-", ignore_cleanup_errors=True)
        folder = options.dir or Path(stack.enter_context(temporary))
        cluster = stack.enter_context(running(options.version, folder))
        print(cluster.to_json(), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped:
        sys.exit(130)
