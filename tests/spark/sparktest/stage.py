"""What a story is given: a cluster, a service of its own, a way to start applications, claims.

    VENV/bin/python -m sparktest.stage STORY --cluster JSON --service SPEC

runs one story and prints one line of JSON; exit code 0 when all claims held. `run` is the front
door that picks the environment and starts clusters.
"""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType

from . import service as services
from .application import Application, with_service
from .claims import Claims
from .cluster import Cluster
from .processes import Stopped, stop_on_signals
from .service import Service
from .waiting import WaitedTooLong

_STORY_LIMIT_S = 240


class Stage:
    """The stage on which one story plays."""

    def __init__(self, story: str, cluster: Cluster, service: Service, claims: Claims) -> None:
        self.story, self.cluster, self.service, self.claims = story, cluster, service, claims
        self._application: Application | None = None

    def application(self, settings: dict[str, str] | None = None) -> Application:
        """Starts an application that uses the service; `settings` win over the usual ones."""
        assert self._application is None, "one application a story: pyspark has one JVM a process"
        self._application = Application(
            self.cluster, f"story {self.story}", {**with_service(self.service.port), **(settings or {})}
        )
        print(f"    application {self._application.id}", file=sys.stderr, flush=True)
        return self._application

    def close(self) -> None:
        """Stops the application if the story did not."""
        if self._application:
            self._application.stop()


def _run(story: str, cluster: Cluster, spec: str, claims: Claims) -> None:
    from .stories import ALL  # the stories import this module

    with tempfile.TemporaryDirectory(prefix=f"service-{story}-", dir=cluster.folder, ignore_cleanup_errors=True) as folder:
        service = services.start(spec, cluster.version, cluster.root, Path(folder))
        stage = Stage(story, cluster, service, claims)
        try:
            ALL[story](stage)
            for name, value in service.metrics().items():
                if name.startswith("shuffle_block_transfer_") and name.endswith("_total"):
                    claims.figure(name, value)
        finally:
            try:
                stage.close()
            finally:
                service.stop()


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise WaitedTooLong(f"the story took more than {_STORY_LIMIT_S} s")


def main() -> int:
    """Runs one story."""
    parser = argparse.ArgumentParser(description="Run one story inside an environment that holds pyspark.")
    parser.add_argument("story")
    parser.add_argument("--cluster", required=True, help="the line that sparktest.cluster printed")
    parser.add_argument("--service", required=True, help=services.ALLOWED)
    options = parser.parse_args()
    cluster, claims = Cluster.from_json(options.cluster), Claims()
    stop_on_signals()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_STORY_LIMIT_S)
    began = time.monotonic()
    try:
        _run(options.story, cluster, options.service, claims)
    except Stopped:
        return 130
    except Exception:
        claims.that("the story ran to its end", False, traceback.format_exc())
    seconds = round(time.monotonic() - began, 1)
    print(claims.to_json(story=options.story, version=cluster.version, service=options.service, seconds=seconds), flush=True)
    return 0 if claims.held else 1


if __name__ == "__main__":
    sys.exit(main())
