"""What a story is given: a cluster, a service of its own, a way to start applications, claims.

    VENV/bin/python -m sparktest.stage STORY --cluster JSON --service SPEC [--turns]

runs one story and prints one line of JSON; exit code 0 when all claims held. `run` is the front
door that picks the environment and starts clusters. With `--turns` a story that has turns takes one
for each line on standard input and prints a line after each, so that stories can alternate.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from . import service as services
from .application import Application, with_service
from .claims import Claims
from .cluster import Cluster
from .processes import Stopped, stop_on_signals
from .service import Service
from .waiting import WaitedTooLong

_STORY_LIMIT_S = 280


class Stage:
    """The stage on which one story plays."""

    def __init__(self, story: str, cluster: Cluster, service: Service, claims: Claims, asked: bool) -> None:
        self.story, self.cluster, self.service, self.claims = story, cluster, service, claims
        self._asked = asked
        self._application: Application | None = None

    def application(self, settings: dict[str, str] | None = None, cluster: Cluster | None = None) -> Application:
        """Starts an application that uses the service; `settings` win over the usual ones.

        It runs on the shared cluster unless the story brought one of its own.
        """
        assert self._application is None, "one application a story: pyspark has one JVM a process"
        cluster = cluster or self.cluster
        settings = {**with_service(self.service.port), **cluster.settings, **(settings or {})}
        self._application = Application(cluster, f"story {self.story}", settings)
        print(f"    application {self._application.id}", file=sys.stderr, flush=True)
        return self._application

    def turns(self) -> Iterator[int]:
        """The turns of what a story repeats, from 0: one, or with `--turns` one for each line on standard input."""
        if not self._asked:
            yield 0
            return
        done = 0
        print(json.dumps({"turns": done}), flush=True)
        while sys.stdin.readline():
            signal.alarm(_STORY_LIMIT_S)
            yield done
            done += 1
            print(json.dumps({"turns": done}), flush=True)

    def close(self) -> None:
        """Stops the application if the story did not; shows its executors' last words if a claim failed."""
        if self._application:
            self._application.stop()
            if not self.claims.held:
                _show_end("the executors", self._application.executor_logs())


def _run(story: str, cluster: Cluster, spec: str, claims: Claims, asked: bool) -> None:
    from .stories import ALL  # the stories import this module

    with tempfile.TemporaryDirectory(
        prefix=f"service-{story}-", dir=cluster.folder, ignore_cleanup_errors=True
    ) as folder:
        service = services.start(spec, cluster.version, cluster.root, Path(folder))
        stage = Stage(story, cluster, service, claims, asked)
        try:
            ALL[story](stage)
            for name, value in service.metrics().items():
                if name in (services.BLOCKS_SERVED, services.BYTES_SERVED):
                    claims.figure(name, value)
        finally:
            try:
                stage.close()
            finally:
                service.stop()


def _divert_stderr(log: Path) -> None:
    """Sends what the JVM writes to standard error to `log`; this process' own words still get through."""
    own = os.fdopen(os.dup(2), "w", buffering=1)
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = own


def _show_end(whose: str, text: str, lines: int = 40) -> None:
    print(f"    the last words of {whose}:", *text.splitlines()[-lines:], sep="\n      ", file=sys.stderr, flush=True)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise WaitedTooLong(f"the story took more than {_STORY_LIMIT_S} s")


def main() -> int:
    """Runs one story."""
    parser = argparse.ArgumentParser(description="Run one story inside an environment that holds pyspark.")
    parser.add_argument("story")
    parser.add_argument("--cluster", required=True, help="the line that sparktest.cluster printed")
    parser.add_argument("--service", required=True, help=services.ALLOWED)
    parser.add_argument("--turns", action="store_true", help="take a turn for each line on standard input")
    options = parser.parse_args()
    cluster, claims = Cluster.from_json(options.cluster), Claims()
    stop_on_signals()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_STORY_LIMIT_S)
    began = time.monotonic()
    driver_log = Path(cluster.folder) / f"driver-{options.story}-{os.getpid()}.log"
    _divert_stderr(driver_log)
    try:
        _run(options.story, cluster, options.service, claims, options.turns)
    except Stopped:
        return 130
    except Exception:
        claims.that("the story ran to its end", False, traceback.format_exc()[-4000:])
        _show_end("the driver", driver_log.read_text(errors="replace"))
    seconds = round(time.monotonic() - began, 1)
    print(
        claims.to_json(story=options.story, version=cluster.version, service=options.service, seconds=seconds),
        flush=True,
    )
    return 0 if claims.held else 1


if __name__ == "__main__":
    sys.exit(main())
