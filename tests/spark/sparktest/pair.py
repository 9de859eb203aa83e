"""Two releases of Spark at once against one service.

    python3 -m sparktest.pair --versions 3.5.9,4.3.0 --service daemon:BINARY [--login]

runs the reuse story on both and prints one line of JSON per story and one of its own. With `--login` each
application has a secret of its own, which the daemon is given in a file when the application has a name.
"""

import argparse
import base64
import contextlib
import secrets
import subprocess
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


class Secrets:
    """A secret for each application, and the folder that the daemon reads them from."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self._bytes = folder, [secrets.token_bytes(32) for _ in range(count)]

    def settings(self, number: int) -> dict[str, str]:
        """What an application and its cluster set: the text that Spark makes of the file's bytes."""
        text = base64.b64encode(self._bytes[number]).decode()
        return {"spark.authenticate": "true", "spark.authenticate.secret": text}

    def give(self, number: int, cluster: Cluster) -> None:
        """Writes the file of the application that has begun on this cluster, whole at once."""
        app = _logs(cluster)[0].name.removesuffix(".inprogress")
        (self.folder / ".new").write_bytes(self._bytes[number])
        (self.folder / ".new").rename(self.folder / app)


def _both(first: Cluster, second: Cluster, service: str, given: Secrets | None) -> int:
    """Runs the story on both clusters, the second one as soon as the first has its application.

    A standalone master names applications by the second and a counter of its own, so two
    masters asked in the same second give the same name, which no service could keep apart.
    """
    code = 0
    with contextlib.ExitStack() as stack:
        stories = [run.run_story(_STORY, first, service)]
        stack.callback(run.stop, stories[0])
        _begun(first, stories[0], given, 0)
        stories.append(run.run_story(_STORY, second, service))
        stack.callback(run.stop, stories[1])
        if given:
            _begun(second, stories[1], given, 1)
        for story in stories:
            code |= run.finish(story)
    return code


def _begun(cluster: Cluster, story: subprocess.Popen[str], given: Secrets | None, number: int) -> None:
    """Waits until the application has begun. Its first executor comes some seconds later."""
    wait_for(lambda: _logs(cluster) or story.poll() is not None, _START_LIMIT_S, f"application {number}")
    if given and _logs(cluster):
        given.give(number, cluster)


def _claim_logins(claims: Claims, metrics: dict[str, float]) -> None:
    logins = {name: value for name, value in metrics.items() if name.startswith("shuffle_logins_total{")}
    claims.that("all connections logged in", list(logins) == ['shuffle_logins_total{how="clear"}'], logins)
    claims.equal("nobody asked for another application", metrics.get("shuffle_foreign_requests_total", 0.0), 0.0)


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
    parser.add_argument("--login", action="store_true", help="authenticate, each with a secret of its own (our daemon only)")
    options = parser.parse_args()
    names = options.versions.split(",")
    if len(names) != 2:
        parser.error("--versions takes two releases with a comma between")
    stop_on_signals()
    began, claims = time.monotonic(), Claims()
    with contextlib.ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparktest-", ignore_cleanup_errors=True)))
        given = Secrets(top / "secrets", len(names)) if options.login else None
        both = [
            stack.enter_context(clusters.running(name, top / f"{i}-{name}", given.settings(i) if given else None))
            for i, name in enumerate(names)
        ]
        secrets_dir = given.folder if given else None
        service = services.start(options.service, names[1], top, top / "service", secrets_dir)
        stack.callback(service.stop)
        print(
            f"{_STORY} on Spark {' and '.join(names)} at once, service {options.service}", file=sys.stderr, flush=True
        )
        code = _both(both[0], both[1], f"at:{service.port}", given)
        _claim(claims, both, service.metrics())
        if given:
            _claim_logins(claims, service.metrics())
    seconds = round(time.monotonic() - began, 1)
    story = "login_two_applications" if options.login else "pair"
    print(claims.to_json(story=story, version=options.versions, service=options.service, seconds=seconds), flush=True)
    return code if claims.held else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped as signal_name:
        print(f"stopped by {signal_name}", file=sys.stderr)
        sys.exit(130)
