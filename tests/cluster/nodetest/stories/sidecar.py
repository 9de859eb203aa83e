"""The daemon in each executor's Pod, where there is no hostPath and no host network."""

from ..application import MAX_EXECUTORS, SIDECAR, How
from ..stage import Stage
from . import shuffle


def sidecar(stage: Stage) -> None:
    """Dynamic allocation takes executors away while a later stage still needs their map outputs.

    Their Pods linger and serve, and end by themselves when the driver has dropped the shuffle.
    """
    application = stage.application("job", how=How(example=SIDECAR))
    first = shuffle.write(stage, application)
    application.wait_for_executors(0)
    lingering = application.executor_pods()
    stage.claims.equal("the Pods of executors that have gone linger", len(lingering), MAX_EXECUTORS)
    shuffle.read_again(stage, application, first)

    def gone() -> bool:
        application.step("drop")  # again: Spark's cleaner follows the JVM's garbage collector
        return not application.executor_pods()

    stage.gone_within("no Pod of an executor is there", 120, gone)
    application.stop()
    shuffle.check_log(stage, application)
