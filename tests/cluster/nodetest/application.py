"""A Spark application on the cluster that does what its story tells it, step by step.

In cluster mode its driver is a Pod; in client mode a process in the namespaces of node1, for which
there is no Pod at all. Its settings are the examples that users get, with the story's own disk.
"""

import dataclasses
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktest import eventlog, venv, versions
from sparktest.processes import Child
from sparktest.waiting import wait_for

from . import images, network

if TYPE_CHECKING:
    from .stage import Stage

MAX_EXECUTORS = 2
_WORKSPACE = Path(__file__).resolve().parents[3]
_EXAMPLES = _WORKSPACE / "daemonset" / "examples"
#: The disk that the examples name.
_EXAMPLE_DISK = "/data/spark"
#: The daemon's image in a template.
_IMAGE = re.compile(r"(image: )\S*shuffle-daemon:\S+")
_STEP_LIMIT_S = 240.0
_EXECUTORS_LIMIT_S = 120.0
#: How often a driver that does not answer is looked at.
_DRIVER_LOOK_S = 2.0
_SMALL_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"

#: Small and quick on a machine with two cores; an event log that is easy to read.
_SMALL = {
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.kubernetes.executor.request.cores": "100m",
    "spark.kubernetes.driver.request.cores": "100m",
    "spark.driver.extraJavaOptions": _SMALL_JVM,
    "spark.executor.extraJavaOptions": _SMALL_JVM,
    "spark.locality.wait": "0",
    "spark.ui.enabled": "false",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
    "spark.dynamicAllocation.initialExecutors": "0",
    "spark.dynamicAllocation.maxExecutors": str(MAX_EXECUTORS),
    "spark.dynamicAllocation.executorIdleTimeout": "3s",
    "spark.kubernetes.allocation.batch.delay": "500ms",
}


@dataclasses.dataclass(frozen=True)
class Example:
    """Files of daemonset/examples that belong together."""

    settings: str
    template: str


#: The daemon on each node, and how the examples use it.
NODE_SERVICE = Example("spark-defaults.conf", "executor-pod-template.yaml")
#: The same, where no executor sees another's directory.
OWN_DIRECTORIES = Example("subpath-defaults.conf", "subpath-pod-template.yaml")
#: The daemon in each executor's Pod.
SIDECAR = Example("sidecar-defaults.conf", "sidecar-pod-template.yaml")


@dataclasses.dataclass(frozen=True)
class How:
    """How an application is submitted."""

    example: Example = NODE_SERVICE
    #: Whether the driver is a Pod, and no process of node1.
    cluster_mode: bool = True
    #: Release of Spark.
    version: str = versions.newest()


class Application:
    """A running application; `step` has it do something, `stop` ends it, then `log` can be asked for."""

    def __init__(self, stage: "Stage", name: str, how: "How", settings: dict[str, str]) -> None:
        """Submits it and waits until its driver answers. `settings` win over all others."""
        self.name, self._how, self._stage = name, how, stage
        self.driver_pod = f"{name}-driver"
        self._path = f"/data/{stage.namespace}/{name}"
        self._events = f"/data/{stage.namespace}/events"
        for path in (self._path, self._events):
            stage.host(1, path).mkdir(parents=True, exist_ok=True)
            stage.host(1, path).chmod(0o1777)
        shutil.copy(Path(__file__).with_name("steps.py"), stage.host(1, self._path))
        self._next = 0
        argv = self._command(settings)
        self._child = Child(f"spark-submit {name}", argv, stage.log(f"{name}.log"), dict(os.environ))
        self.id: str = self.step("start")

    def _command(self, settings: dict[str, str]) -> list[str]:
        stage, how = self._stage, self._how
        files = stage.host(1, self._path)
        script = f"submit-{'cluster' if how.cluster_mode else 'client'}.sh"
        for name in (how.example.settings, how.example.template, script):
            text = (_EXAMPLES / name).read_text(encoding="utf-8").replace(_EXAMPLE_DISK, stage.disk)
            (files / name).write_text(_IMAGE.sub(rf"\1{stage.machine.image}", text), encoding="utf-8")
        argv = ["bash", f"{self._path}/{script}", how.example.settings]
        all_settings = {
            **_SMALL,
            "spark.app.name": self.name,
            "spark.kubernetes.executor.podNamePrefix": self.name,
            "spark.kubernetes.executor.node.selector.kubernetes.io/hostname": "node1",
            "spark.eventLog.dir": f"file://{self._events}",
            **(self._cluster() if how.cluster_mode else self._client()),
            **settings,
        }
        for key, value in all_settings.items():
            argv += ["--conf", f"{key}={value}"]
        place = f"{self._path}/steps.py"
        argv += [f"local://{place}" if how.cluster_mode else place, self._path]
        env = {
            "API": f"https://{network.CONTROL_IP}:6443",
            "DRIVER": network.node_ip(1),
            "IMAGE": images.spark(how.version),
            "NAMESPACE": stage.namespace,
            "SPARK_HOME": str(venv.spark_home(how.version)),
            "SPARK_LOCAL_IP": network.node_ip(1),
            "PYSPARK_PYTHON": "python3",
            # In cluster mode that of the image.
            "PYSPARK_DRIVER_PYTHON": "python3" if how.cluster_mode else str(venv.python(how.version)),
            # Not that of whoever runs the tests: it may have a kubeconfig.
            "HOME": str(files),
        }
        return stage.machine.inside(1, ["env", "-u", "KUBECONFIG", *(f"{k}={v}" for k, v in env.items()), *argv])

    def _client(self) -> dict[str, str]:
        token, authority = self._stage.credentials()
        return {
            "spark.driver.bindAddress": network.node_ip(1),
            "spark.kubernetes.authenticate.oauthToken": token,
            "spark.kubernetes.authenticate.caCertFile": authority,
        }

    def _cluster(self) -> dict[str, str]:
        token, authority = self._stage.credentials()
        settings = {
            "spark.kubernetes.driver.pod.name": self.driver_pod,
            "spark.kubernetes.driver.node.selector.kubernetes.io/hostname": "node1",
            "spark.kubernetes.authenticate.submission.oauthToken": token,
            "spark.kubernetes.authenticate.submission.caCertFile": authority,
            # The address of the API server's service, so that no name has to be resolved.
            "spark.kubernetes.driver.master": f"https://{network.API_SERVICE_IP}:443",
            "spark.kubernetes.submission.waitAppCompletion": "false",
        }
        for volume, path in (("steps", self._path), ("events", self._events)):
            settings[f"spark.kubernetes.driver.volumes.hostPath.{volume}.mount.path"] = path
            settings[f"spark.kubernetes.driver.volumes.hostPath.{volume}.options.path"] = path
        return settings

    def begin(self, call: str, **arguments: Any) -> int:
        """Has the driver do something; `result` waits for it."""
        folder, number = self._stage.host(1, self._path), self._next
        self._next += 1
        part = folder / f"{number}.part"
        part.write_text(json.dumps({"call": call, **arguments}), encoding="utf-8")
        part.rename(folder / f"{number}.do")
        return number

    def is_done(self, number: int) -> bool:
        """Whether the driver has answered."""
        return (self._stage.host(1, self._path) / f"{number}.done").exists()

    def result(self, number: int) -> Any:
        """Waits for an answer; raises what the driver raised."""
        answer = self._stage.host(1, self._path) / f"{number}.done"

        look_at_driver = time.monotonic() + _DRIVER_LOOK_S

        def look() -> bool:
            nonlocal look_at_driver
            if answer.exists():
                return True
            if time.monotonic() < look_at_driver:
                return False
            look_at_driver = time.monotonic() + _DRIVER_LOOK_S
            if self._ended():
                raise RuntimeError(f"the driver of {self.name} ended:\n{self.driver_log()[-3000:]}")
            return False

        wait_for(look, _STEP_LIMIT_S, f"{self.name} to answer step {number}")
        said = json.loads(answer.read_text(encoding="utf-8"))
        if "error" in said:
            raise RuntimeError(f"{self.name}: {said['error']}")
        return said["result"]

    def step(self, call: str, **arguments: Any) -> Any:
        """Has the driver do something and waits for its answer."""
        return self.result(self.begin(call, **arguments))

    def wait_for_executors(self, count: int) -> None:
        """Waits until exactly `count` executors live; their Pods may be there for longer."""
        wait_for(lambda: self.step("executors") == count, _EXECUTORS_LIMIT_S, f"{count} executors of {self.name}")

    def executor_pods(self) -> list[dict[str, Any]]:
        """The Pods of its executors that the API server has now, ended ones too."""
        return self._stage.pods(f"spark-role=executor,spark-app-selector={self.id}")

    def stop(self) -> None:
        """Ends it and waits until the Pods of its executors are gone."""
        self.step("stop")
        self.wait_until_gone()

    def wait_until_gone(self) -> None:
        """Waits until no Pod of an executor is left."""
        wait_for(lambda: not self.executor_pods(), _EXECUTORS_LIMIT_S, f"the executor Pods of {self.name} to be gone")

    def kill(self) -> None:
        """Ends the processes that this story started for it; a driver's Pod stays."""
        self._child.kill()

    def driver_log(self) -> str:
        """What the driver has written."""
        if not self._how.cluster_mode:
            return self._child.text()
        try:
            return self._stage.kubectl("logs", self.driver_pod, "--tail=200")
        except RuntimeError as error:
            return f"{error}\n{self._child.text()}"

    def log(self) -> eventlog.EventLog:
        """The event log; `sparktest.eventlog` reads one in progress as far as it goes."""
        folder = self._stage.host(1, self._events)
        found = wait_for(lambda: sorted(folder.glob(f"{self.id}*")), 10, f"the event log of {self.name}")
        return eventlog.read(found[0])

    def _ended(self) -> bool:
        if not self._how.cluster_mode:
            return not self._child.alive()
        # Asked for first: spark-submit makes the Pod before it ends.
        submitting = self._child.alive()
        try:
            pods = self._stage.pods("spark-role=driver")
        except OSError:  # a story may have taken the API server away
            return False
        phases = [pod["status"].get("phase") for pod in pods if pod["metadata"]["name"] == self.driver_pod]
        return phases[0] in ("Succeeded", "Failed") if phases else not submitting
