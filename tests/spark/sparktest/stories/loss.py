"""Things break: a data file, and the service itself."""

import threading
from pathlib import Path

from ..stage import Stage
from ..waiting import wait_for
from .reuse import ROWS, checksum, write_shuffle

_RETRY_LIMIT_S = 30


def corruption(stage: Stage) -> None:
    """Flipped bytes in a data file: Spark finds out, asks the service why, and computes it again."""
    app, claims = stage.application(), stage.claims
    shuffled = write_shuffle(app)
    first = checksum(shuffled)
    app.wait_for_executors(0)
    dirs = app.local_dirs()
    _flip_bytes(sorted(path for each in dirs for path in each.glob("*/shuffle_0_*.data"))[0])
    second = checksum(shuffled)
    app.stop()
    log = app.log()
    claims.equal("the result is right all the same", second, first)
    claims.that("fetches of the bad blocks failed", len(log.fetch_failures) > 0, len(log.fetch_failures))
    reported = [message.splitlines()[0] for message in log.fetch_failures]
    claims.that("Spark reports a disk issue", any("DISK_ISSUE" in line for line in reported), reported)


def _flip_bytes(path: Path) -> None:
    """Inverts the whole file in place, so that every block of the map output is bad."""
    content = path.read_bytes()
    with open(path, "r+b") as file:
        file.write(bytes(byte ^ 0xFF for byte in content))


def service_killed(stage: Stage) -> None:
    """SIGKILL in the middle of a read, and the service starts again: the job waits and goes on."""
    app, claims, service = stage.application(), stage.claims, stage.service
    reduces = 24
    shuffled = write_shuffle(app, reduces=reduces)
    app.label("first read")
    first = checksum(shuffled)
    app.wait_for_executors(0)
    result: list[tuple[int, int, int]] = []

    def second_read() -> None:
        app.label("second read")
        result.append(checksum(shuffled, pause_s=0.25))

    reader = threading.Thread(target=second_read)
    reader.start()
    tracker = app.context.statusTracker()

    def done() -> int:
        infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return sum(info.numCompletedTasks for info in infos if info)

    wait_for(lambda: done() >= 3, 60, "three tasks of the second read")
    service.kill()
    at_kill = done()
    wait_for(lambda: "Retrying fetch (1/3)" in app.executor_logs(), _RETRY_LIMIT_S, "a fetch to be retried")
    service.restart()
    reader.join()
    app.stop()
    log = app.log()
    claims.that("the service died in the middle", 0 < at_kill < reduces, f"after {at_kill} of {reduces} tasks")
    claims.equal("all rows arrive", first[:2], (ROWS, ROWS * (ROWS - 1) // 2))
    claims.equal("the second read has the same result", result, [first])
    claims.nothing_lost(log)
    claims.figure("second read seconds", log.seconds_of("second read"))
