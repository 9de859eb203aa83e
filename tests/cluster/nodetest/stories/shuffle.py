"""The shuffle of all stories: what it holds, and what must be true of an application that used it."""

from ..application import MAX_EXECUTORS, Application
from ..stage import CLEAN_LIMIT_S, Stage

MAPS, REDUCES, ROWS = 8, 12, 24_000
BLOCKS = MAPS * REDUCES


def write(stage: Stage, application: Application) -> list[int]:
    """Writes the shuffle and reads it once; returns the result."""
    result: list[int] = application.step("read", label="first read")
    stage.claims.equal("all rows arrive", result[:2], [ROWS, ROWS * (ROWS - 1) // 2])
    return result


def wait_until_idle(stage: Stage, application: Application, release: str = "shuffle") -> None:
    """Waits until every executor and its Pod is gone, and claims that the map outputs are all there."""
    application.wait_for_executors(0)
    application.wait_until_gone()
    outputs = stage.map_outputs(application, release)
    stage.claims.equal("without executors all map outputs are on the disk", len(outputs), MAPS)


def read_again(stage: Stage, application: Application, first: list[int], label: str = "second read") -> None:
    """Reads the shuffle again and claims the same result."""
    stage.claims.equal(f"the {label} has the same result", application.step("read", label=label), first)


def check_log(stage: Stage, application: Application, label: str = "second read", peaks: int = 2) -> None:
    """Claims from the event log: executors came and went, all came from the service, nothing was lost."""
    log = application.log()
    stage.claims.equal(
        f"{application.name}: executors come, all go, come again", log.executor_peaks(), [MAX_EXECUTORS] * peaks
    )
    reads = log.reads(label)
    stage.claims.equal(
        f"{application.name}: each block of the {label} comes from the service",
        (reads.remote_blocks, reads.local_blocks),
        (BLOCKS, 0),
    )
    stage.claims.nothing_lost(log)


def check_clean(stage: Stage, application: Application, limit_s: float = CLEAN_LIMIT_S) -> None:
    """Claims that in time nothing of an application is left on its disk, from now on."""
    stage.gone_within(
        f"nothing of {application.name} is on the disk",
        limit_s,
        lambda: application.id not in stage.entries(),
    )


def come_back_and_end(stage: Stage, application: Application, first: list[int]) -> None:
    """All executors go, others read the same again, the application ends; nothing is computed twice, nothing is left."""
    wait_until_idle(stage, application)
    read_again(stage, application, first)
    application.stop()
    check_clean(stage, application)
    check_log(stage, application)
