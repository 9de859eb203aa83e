"""What happens to the daemon, the kubelet and the API server in the middle of a job."""

import time

from sparktest.waiting import wait_for

from ..stage import Stage
from . import shuffle

_OUTAGE_S = 60.0
_RESTART_LIMIT_S = 120.0


def daemon_killed(stage: Stage) -> None:
    """The daemon is killed while no executor is there, and its Pod deleted in the middle of a read."""
    stage.install()
    application = stage.application("job")
    first = shuffle.write(stage, application)
    shuffle.wait_until_idle(stage, application)
    _kill_daemon(stage)
    shuffle.read_again(stage, application, first)
    reading = application.begin("read", label="third read", pause_s=1.5)
    stage.kubectl("delete", "pod", stage.daemon_pod()["metadata"]["name"])
    stage.claims.equal("a read goes on over a restart", application.result(reading), first)
    stage.wait_for_daemon(2)
    application.stop()
    shuffle.check_clean(stage, application)
    log = application.log()
    reads = log.reads("second read")
    stage.claims.equal("after the restart all comes from the service", reads.remote_blocks, shuffle.BLOCKS)
    stage.claims.nothing_lost(log)


def _kill_daemon(stage: Stage) -> None:
    """Ends the process of node1 without a word; the kubelet starts it again."""
    container = stage.daemon_pod()["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    stage.machine.on(1, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal=SIGKILL", container)

    def again() -> bool:
        status = stage.daemon_pod()["status"]["containerStatuses"][0]
        return bool(status["ready"]) and int(status["restartCount"]) == 1

    wait_for(again, _RESTART_LIMIT_S, "the daemon to be started again")


def kubelet_restart(stage: Stage) -> None:
    """The kubelet is killed while executors work; Pods, files and reads go on."""
    stage.install()
    application = stage.application("job")
    first = shuffle.write(stage, application)
    pid_file = stage.machine.node_dir(1) / "kubelet.pid"
    before = pid_file.read_text()
    reading = application.begin("read", label="read over a restart", pause_s=1.0)
    stage.machine.on(1, "kill", "-KILL", before.strip())
    stage.claims.equal("a read goes on", application.result(reading), first)
    wait_for(lambda: pid_file.read_text() != before, _RESTART_LIMIT_S, "another kubelet")
    stage.machine.kubectl("wait", "--for=condition=Ready", "node/node1", "--timeout=120s")
    shuffle.come_back_and_end(stage, application, first)


def api_server_down(stage: Stage) -> None:
    """The API server is away for a minute: executors read on, nothing is removed, and it ends well."""
    stage.install()
    application = stage.application("job", {"spark.dynamicAllocation.executorIdleTimeout": "15s"})
    first = shuffle.write(stage, application)
    before = stage.files(application.id)
    stage.machine.hold("kube-apiserver")
    try:
        end, reads = time.monotonic() + _OUTAGE_S, 0
        while time.monotonic() < end:
            shuffle.read_again(stage, application, first, f"read {reads} without an API server")
            reads += 1
    finally:
        stage.machine.release("kube-apiserver")
    missing = sorted(set(before) - set(stage.files(application.id)))
    stage.claims.equal("nothing was removed meanwhile", missing, [])
    stage.claims.figure("reads without an API server", reads)
    shuffle.come_back_and_end(stage, application, first)


def upgrade_under_load(stage: Stage) -> None:
    """The DaemonSet is upgraded while executors read; no fetch fails."""
    stage.install()
    application = stage.application("job")
    first = shuffle.write(stage, application)
    before = {pod["metadata"]["uid"] for pod in stage.daemon_pods()}
    reading = application.begin("read", label="read over an upgrade", pause_s=2.5)
    stage.install(values={"podAnnotations": {"test/upgrade": "1"}})
    stage.claims.equal("a read goes on over the upgrade", application.result(reading), first)
    stage.wait_for_daemon(2)
    after = {pod["metadata"]["uid"] for pod in stage.daemon_pods()}
    stage.claims.equal("all Pods of the daemon are others", before & after, set())
    shuffle.come_back_and_end(stage, application, first)
