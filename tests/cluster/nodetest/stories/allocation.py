"""Executors come, all go, and come again; nothing is computed twice, and in the end nothing is left."""

import json

from sparktest import versions

from .. import images
from ..application import How
from ..stage import Stage
from . import shuffle

#: The driver of client mode is no Pod; its application is over when nothing was heard of it for so long.
_OUTSIDE_DRIVER_TTL_S = 45


def allocation_cluster_mode(stage: Stage) -> None:
    """The outcome of the product: driver in a Pod, which is left Completed at the end."""
    stage.install()
    application = stage.application("job")
    first = shuffle.write(stage, application)
    shuffle.wait_until_idle(stage, application)
    before = stage.metric("shuffle_block_transfer_blocks_total")
    shuffle.read_again(stage, application, first)
    served = stage.metric("shuffle_block_transfer_blocks_total") - before
    stage.claims.equal("the daemon counts these blocks", served, shuffle.BLOCKS)
    pod = stage.daemon_pod()["metadata"]["name"]
    apps = json.loads(stage.kubectl("exec", pod, "--", "shufflectl", "apps", "--output", "json"))
    stage.claims.equal("shufflectl in the daemon's Pod knows it", [app["app"] for app in apps], [application.id])
    application.stop()
    shuffle.check_clean(stage, application)
    stage.claims.equal("nothing at all is on the disk", stage.entries(), [])
    stage.claims.figure("resident memory of the daemon, KiB", stage.daemon_memory_kib())
    stage.claims.figure("API requests of the daemon", stage.metric("shuffle_kubernetes_api_requests_total"))
    phases = [pod["status"]["phase"] for pod in stage.pods("spark-role=driver")]
    stage.claims.equal("the Pod of the driver is left Completed", phases, ["Succeeded"])
    shuffle.check_log(stage, application)


def allocation_client_mode(stage: Stage) -> None:
    """The driver is a process, no Pod: its application is over when it was quiet for a time."""
    _client_mode(stage, How(cluster_mode=False))


def allocation_spark_3(stage: Stage) -> None:
    """The newest 3.x with the same files; its executors find a driver's Pod by DNS, which is not here, so it is none."""
    version = versions.newest_of(3)
    stage.machine.load(images.spark_archive(version))
    _client_mode(stage, How(cluster_mode=False, version=version))


def _client_mode(stage: Stage, how: How) -> None:
    stage.install(values={"cleanup": {"outsideDriverTtl": f"{_OUTSIDE_DRIVER_TTL_S}s"}})
    application = stage.application("job", how=how)
    first = shuffle.write(stage, application)
    shuffle.wait_until_idle(stage, application)
    shuffle.read_again(stage, application, first)
    application.stop()
    outputs = stage.map_outputs(application)
    stage.claims.equal("when it ends its files are still there", len(outputs), shuffle.MAPS)
    shuffle.check_clean(stage, application, _OUTSIDE_DRIVER_TTL_S + 60)
    shuffle.check_log(stage, application)
