"""Where the daemon runs, several of it on a node, and none of it any more."""

import json

from ..stage import Stage
from . import shuffle

_LABEL = "shuffle-story/service"


def node_selector(stage: Stage) -> None:
    """Of two nodes one has the label: the daemon runs there, and executors that select it use it."""
    stage.machine.kubectl("label", "node", "node1", f"{_LABEL}=yes", "--overwrite")
    stage.install(values={"nodeSelector": {_LABEL: "yes"}})
    places = [pod["spec"]["nodeName"] for pod in stage.daemon_pods()]
    stage.claims.equal("the daemon runs on the node with the label only", places, ["node1"])
    application = stage.application("job", {f"spark.kubernetes.executor.node.selector.{_LABEL}": "yes"})
    first = shuffle.write(stage, application)
    shuffle.come_back_and_end(stage, application, first)
    stage.claims.equal("nothing was made on the other node", stage.entries(node=2), [])


def two_services(stage: Stage) -> None:
    """Two releases on the same node, each with its port, disk and Pods; neither touches the other's."""
    ports = {"one": (7337, 7338), "two": (7447, 7448)}
    jobs = {}
    for release, (port, metrics) in ports.items():
        stage.install(
            release,
            {"port": port, "metricsPort": metrics, "podSelector": f"shuffle-service={release}"},
        )
        jobs[release] = stage.application(release, _use(stage, release, port))
    firsts = {release: shuffle.write(stage, job) for release, job in jobs.items()}
    for release, job in jobs.items():
        shuffle.wait_until_idle(stage, job, release)
    before = stage.files(jobs["two"].id, release="two")
    jobs["one"].stop()
    stage.gone_within("nothing is on the first disk", 60, lambda: stage.entries(release="one") == [])
    stage.claims.equal("every file of the other service is there", stage.files(jobs["two"].id, release="two"), before)
    shuffle.read_again(stage, jobs["two"], firsts["two"])
    jobs["two"].stop()
    stage.gone_within("nothing is on the second disk", 60, lambda: stage.entries(release="two") == [])
    shuffle.check_log(stage, jobs["two"])


def _use(stage: Stage, release: str, port: int) -> dict[str, str]:
    """What an application sets to use one of several services."""
    volume = "spark.kubernetes.executor.volumes.hostPath.spark-local-dir-1"
    disk = stage.disk_of(release)
    return {
        "spark.shuffle.service.port": str(port),
        f"{volume}.mount.path": disk,
        f"{volume}.options.path": disk,
        "spark.executorEnv.SPARK_EXECUTOR_DIRS": f"{disk}/SPARK_APPLICATION_ID/SPARK_EXECUTOR_ID",
        "spark.kubernetes.executor.label.shuffle-service": release,
        "spark.kubernetes.driver.label.shuffle-service": release,
    }


def uninstall(stage: Stage) -> None:
    """After helm uninstall nothing of the release is in the cluster, and nothing of Spark on the disk."""
    stage.install()
    application = stage.application("job")
    shuffle.write(stage, application)
    application.stop()
    shuffle.check_clean(stage, application)
    stage.uninstall("shuffle")
    kinds = "daemonsets,pods,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,configmaps,secrets"
    argv = ["get", kinds, "--all-namespaces", "-l", "app.kubernetes.io/instance=shuffle", "-o", "json"]
    found = [each["metadata"]["name"] for each in json.loads(stage.machine.kubectl(*argv))["items"]]
    stage.claims.equal("no object of the release is left", found, [])
    stage.claims.equal("no file is left on the disk", stage.entries(), [])
