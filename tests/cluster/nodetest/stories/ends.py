"""Ends of applications and executors, and who else lives on when they come."""

from ..application import OWN_DIRECTORIES, How
from ..stage import Stage
from . import shuffle


def two_applications(stage: Stage) -> None:
    """Of two applications at once one ends; the other keeps every file.

    Executors of the one that ends see no directory but their own, which the kubelet made for root.
    """
    stage.install(values={"user": {"uid": 0, "gid": 0}, "capabilities": ["DAC_OVERRIDE"]})
    short, long = stage.application("short", how=How(example=OWN_DIRECTORIES)), stage.application("long")
    first = shuffle.write(stage, long)
    of_short = shuffle.write(stage, short)
    shuffle.wait_until_idle(stage, long)
    before = stage.files(long.id)
    shuffle.come_back_and_end(stage, short, of_short)
    stage.claims.equal("every file of the other one is still there", stage.files(long.id), before)
    shuffle.read_again(stage, long, first)
    long.stop()
    shuffle.check_clean(stage, long)
    shuffle.check_log(stage, long)


def driver_killed(stage: Stage) -> None:
    """The Pod of the driver is deleted at once, while executors hold map outputs and a broadcast variable."""
    stage.install()
    application = stage.application("job")
    shuffle.write(stage, application)
    application.step("broadcast", size=16 << 20)
    stage.claims.that("there is something to remove", len(stage.map_outputs(application)) == shuffle.MAPS)
    stage.kubectl("delete", "pod", application.driver_pod, "--grace-period=0", "--force")
    application.wait_until_gone()
    shuffle.check_clean(stage, application)
    stage.claims.equal("nothing at all is on the disk", stage.entries(), [])


def executor_out_of_memory(stage: Stage) -> None:
    """The kernel kills an executor; its map outputs serve on, and nothing is computed twice.

    Executors read the files of their node themselves, where the daemon says that they lie.
    """
    stage.install()
    application = stage.application("job", {"spark.task.maxFailures": "1", "spark.shuffle.readHostLocalDisk": "true"})
    first = shuffle.write(stage, application)
    said = application.step("out_of_memory")
    stage.claims.that("the kernel killed an executor", "exit code 137" in said, said.strip().splitlines()[0])
    shuffle.wait_until_idle(stage, application)
    shuffle.read_again(stage, application, first)
    application.stop()
    shuffle.check_clean(stage, application)
    log = application.log()
    reads = log.reads("second read")
    blocks = (reads.remote_blocks, reads.local_blocks)
    stage.claims.equal("each block of the second read is read from its file", blocks, (0, shuffle.BLOCKS))
    stage.claims.equal("no fetch failed", log.fetch_failures, [])
    stage.claims.equal("no stage computed twice", log.recomputed, [])
