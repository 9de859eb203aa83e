"""Two releases of Spark at once against one service.

    python3 -m sparktest.pair --versions 3.5.9,4.3.0 --service daemon:BINARY

runs the reuse story on both and prints one line of JSON per story and one of its own.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from . import cluster as clusters
from . import eventlog, run, versions
from . import service as services
from .claims import Claims
from .cluster import Cluster
from .processes import Stopped, stop_on_signals
from .waiting import wait_for

_STORY = "reuse"
_START_LIMIT_S = 60


def _logs(cluster: Cluster) -> list[Path]:
    return list(cluster.event_logs.iterdir())


def _both(first: Cluster, second: Cluster, service: str) -> int:
    """Runs the story on both clusters, the second one as soon as the first has its application.

    A standalone master names applications by the second and a counter of its own, so two
    masters asked in the same second give the same name, which no service could keep apart.
    """
    code = 0
    with contextlib.ExitStack() as stack:
        stories = [run.run_story(_STORY, first, service)]
        stack.callback(run.stop, stories[0])
        wait_for(lambda: _logs(first) or stories[0].poll() is not None, _START_LIMIT_S, "the first application")
        stories.append(run.run_story(_STORY, second, service))
        stack.callback(run.stop, stories[1])
        for story in stories:
            code |= run.finish(story)
    return code


def _claim(claims: Claims, both: list[Cluster], metrics: dict[str, float]) -> None:
    logs = [eventlog.read(_logs(cluster)[0]) for cluster in both]
    claims.that("the two applications have different names", logs[0].app_id != logs[1].app_id, [x.app_id for x in logs])
    start, end = max(log.started_ms for log in logs), min(log.ended_ms for log in logs)
    claims.that("they ran at the same time", start < end, f"{(end - start) / 1000:.1f} s together")
    if metrics:
        reads = [log.all_reads() for log in logs]
        blocks, sizes = metrics.get(services.BLOCKS_SERVED), metrics.get(services.BYTES_SERVED)
        claims.equal("the service counts the blocks of both", blocks, sum(r.remote_blocks for r in reads))
        claims.equal("and their bytes", sizes, sum(r.remote_bytes for r in reads))


def main() -> int:
    """Runs the pair that the arguments name."""
    parser = argparse.ArgumentParser(description="Run two Spark releases at once against one shuffle service.")
    parser.add_argument(
        "--versions", default=f"{versions.newest_of(3)},{versions.newest()}", help="default: %(default)s"
    )
    parser.add_argument("--service", required=True, help=services.ALLOWED)
    options = parser.parse_args()
    names = options.versions.split(",")
    if len(names) != 2:
        parser.error("--versions takes two releases with a comma between")
    stop_on_signals()
    began, claims = time.monotonic(), Claims()
    with contextlib.ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparktest-", ignore_cleanup_errors=True)))
        both = [stack.enter_context(clusters.running(name, top / f"{i}-{name}")) for i, name in enumerate(names)]
        service = services.start(options.service, names[1], top, top / "service")
        stack.callback(service.stop)
        print(
            f"{_STORY} on Spark {' and '.join(names)} at once, service {options.service}", file=sys.stderr, flush=True
        )
        code = _both(both[0], both[1], f"at:{service.port}")
        _claim(claims, both, service.metrics())
    seconds = round(time.monotonic() - began, 1)
    print(claims.to_json(story="pair", version=options.versions, service=options.service, seconds=seconds), flush=True)
    return code if claims.held else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped as signal_name:
        print(f"stopped by {signal_name}", file=sys.stderr)
        sys.exit(130)
