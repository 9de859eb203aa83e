"""One run of the job, told line by line as it goes, and what was seen of it."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparktest import eventlog, venv
from sparktest.cluster import Cluster
from sparktest.eventlog import EventLog
from sparktest.processes import Child
from sparktest.service import BLOCKS_SERVED, BYTES_SERVED, Service

from . import rows
from .labels import FIRST, SECOND
from .screen import Screen, megabytes

_END_LIMIT_S = 30


@dataclass
class Served:
    """What the daemon has handed out."""

    blocks: int = 0
    bytes: int = 0


@dataclass
class Seen:
    """What was seen of one run."""

    log: EventLog = field(default_factory=EventLog)
    #: The digests of both reads, by label.
    results: dict[str, rows.Digest] = field(default_factory=dict)
    #: Executors at the moment before the second read.
    before_second_read: int = -1
    #: Seconds between the end of the first read and the start of the second.
    pause_s: float = 0.0
    #: What the daemon had handed out before the second read, and after it.
    served_before: Served = field(default_factory=Served)
    served_after: Served = field(default_factory=Served)

    @property
    def served_again(self) -> Served:
        """What the daemon handed out for the second read."""
        before, after = self.served_before, self.served_after
        return Served(after.blocks - before.blocks, after.bytes - before.bytes)

    @property
    def steps(self) -> list[tuple[float, int]]:
        """The executor count over time, in seconds since the start of the application."""
        return [
            ((ms - self.log.started_ms) / 1000, count) for ms, count in self.log.executors if ms <= self.log.ended_ms
        ]

    def span(self, label: str) -> tuple[float, float]:
        """When the stages of a read ran, in seconds since the start of the application."""
        mine = [stage for stage in self.log.stages if stage.label == label]
        start, end = min(stage.submitted_ms for stage in mine), max(stage.completed_ms for stage in mine)
        return (start - self.log.started_ms) / 1000, (end - self.log.started_ms) / 1000

    @property
    def idle_executor_s(self) -> float:
        """Executor seconds held between the two reads, when nobody needed an executor."""
        start, end = self.span(FIRST)[1], self.span(SECOND)[0]
        total, since, count = 0.0, start, 0
        for when, value in self.steps:
            if when >= end:
                break
            if when > start:
                total += count * (when - since)
                since = when
            count = value
        return total + count * (end - since)


def play(screen: Screen, cluster: Cluster, service: Service | None, idle_s: float) -> Seen:
    """Runs the job with a service or without, and tells about it."""
    seen = Seen()
    tests = Path(__file__).resolve().parent.parent
    argv = [str(venv.python(cluster.version)), "-m", "demo.job", "--cluster", cluster.to_json(), "--idle", str(idle_s)]
    argv += ["--service-port", str(service.port)] if service else ["--no-service"]
    env = dict(os.environ, PYTHONPATH=f"{tests / 'spark'}:{tests}", PYTHONUNBUFFERED="1")
    child = Child("the job", argv, Path(cluster.folder) / "job.log", env, pipe_stdout=True)
    first_done = 0.0
    try:
        for event in _events(child):
            match event["event"]:
                case "start":
                    screen.step(f"Spark's driver is up: application {event['app']}")
                    seen.log.app_id = event["app"]
                case "write":
                    screen.step(
                        f"the job shuffles {rows.ROWS:,} rows of 1 KiB, {rows.MAPS} maps to {rows.REDUCES} partitions"
                    )
                case "executors":
                    screen.step(_executors(screen, event["count"], service, cluster))
                case "result":
                    seen.results[event["read"]] = tuple(event["result"])
                    screen.step(f"{event['read']} done: {event['result'][0]:,} rows, checksum {event['result'][2]:x}")
                    if event["read"] == FIRST:
                        first_done = time.monotonic()
                        screen.step("nothing to do now; executors idle for 1 s may go")
                    seen.served_after = _served(service)
                case "again":
                    seen.before_second_read = event["executors"]
                    seen.pause_s = time.monotonic() - first_done
                    seen.served_before = _served(service)
                    screen.step(f"the job reads the same shuffle again, beginning with {event['executors']} executors")
        code = child.wait(_END_LIMIT_S)
    finally:
        child.kill()
    if code != 0 or SECOND not in seen.results:
        raise RuntimeError(f"the job ended with {code}:\n{child.text()[-3000:]}")
    seen.log = eventlog.read(cluster.event_logs / seen.log.app_id)
    return seen


def _events(child: Child) -> Iterator[dict[str, Any]]:
    for line in child.stdout:
        if line.startswith(b'{"event"'):
            yield json.loads(line)


def _executors(screen: Screen, count: int, service: Service | None, cluster: Cluster) -> str:
    text = f"executors: {count}"
    if count == 0 and service:
        left = sum(path.stat().st_size for path in cluster.root.rglob("shuffle_*.data"))
        text = f"{screen.paint(text, '1;33')}   all gone; {megabytes(left)} of shuffle data stay, in the daemon's care"
    return text


def _served(service: Service | None) -> Served:
    metrics = service.metrics() if service else {}
    return Served(int(metrics.get(BLOCKS_SERVED, 0)), int(metrics.get(BYTES_SERVED, 0)))
