"""The Spark program of the demo. Runs inside the virtual environment; says how it goes in JSON lines.

    VENV/bin/python -m demo.job --cluster JSON (--service-port PORT | --no-service) --idle SECONDS

It writes a shuffle, reads it, has nothing to do for a while, and reads the same shuffle again.
With a service the while lasts until no executor is left and `--idle` seconds more, without one
`--idle` seconds.
"""

import argparse
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sparktest.application import Application, with_service, without_service
from sparktest.cluster import Cluster
from sparktest.processes import Stopped, stop_on_signals

from .labels import FIRST, SECOND
from .rows import MAPS, REDUCES, ROWS, add, digest, row

_LOOK_S = 0.1


def tell(event: str, **more: Any) -> None:
    """One line of JSON for whoever runs this program."""
    print(json.dumps({"event": event, **more}), flush=True)


class _Watch:
    """Tells each change of the number of executors, from a thread of its own."""

    def __init__(self, app: Application) -> None:
        self._app, self._over = app, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        seen = 0
        while not self._over.wait(_LOOK_S):
            now = self._app.executors()
            if now != seen:
                tell("executors", count=now)
            seen = now

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()
        self._thread.join()


def play(app: Application, executors_go: bool, idle_s: float) -> None:
    """The whole program; `executors_go`: wait until all of them are gone."""
    shuffled = app.context.range(ROWS, numSlices=MAPS).map(row).partitionBy(REDUCES)
    app.label(FIRST)
    tell("write")
    tell("result", read=FIRST, result=shuffled.mapPartitions(digest).reduce(add))
    if executors_go:
        app.wait_for_executors(0)
    time.sleep(idle_s)
    app.label(SECOND)
    tell("again", executors=app.executors())
    tell("result", read=SECOND, result=shuffled.mapPartitions(digest).reduce(add))


def main() -> int:
    """Runs the program once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--idle", type=float, required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--service-port", type=int)
    which.add_argument("--no-service", action="store_true")
    options = parser.parse_args()
    stop_on_signals()
    settings = without_service() if options.no_service else with_service(options.service_port)
    # Executors import `demo.rows`.
    settings["spark.executorEnv.PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    app = Application(Cluster.from_json(options.cluster), "demo", settings)
    watch = _Watch(app)
    try:
        tell("start", app=app.id)
        play(app, not options.no_service, options.idle)
    finally:
        watch.stop()
        app.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped:
        sys.exit(130)
