"""The lines that README.md gives to whoever has a cluster, run as they stand there."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

from clustertest.programs import program
from sparktest import venv, versions
from sparktest.waiting import wait_for

from .. import images, network
from ..stage import CLEAN_LIMIT_S, Stage

_README = Path(__file__).resolve().parents[4] / "README.md"
_BLOCK = re.compile(r"^## On Kubernetes\n.*?^```\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
#: Where the chart's default values and the examples have the disk.
_DISK = "/data/spark"
_JOB_LIMIT_S = 240.0
#: Needed by a cluster without DNS, on a machine with two cores; Spark takes settings from Java's properties, too.
_SMALL = {
    "spark.kubernetes.driver.master": f"https://{network.API_SERVICE_IP}:443",
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.kubernetes.driver.request.cores": "100m",
    "spark.kubernetes.executor.request.cores": "100m",
}


def readme(stage: Stage) -> None:
    """The five lines of README.md bring a service and a job that uses it; afterwards nothing is left."""
    found = _BLOCK.search(_README.read_text(encoding="utf-8"))
    lines = [line.split("   #")[0].rstrip() for line in found[1].splitlines()] if found else []
    stage.claims.equal("there are five lines", len(lines), 5)
    shell = _Shell(stage)
    # The first makes the image, as `make test-cluster` does, and the cluster has it.
    stage.claims.equal("the first line makes the image", lines[0], "make image")
    try:
        for line in lines[1:]:
            shell.run(line)
        driver = wait_for(lambda: _driver_that_ended(stage), _JOB_LIMIT_S, "the driver to end")
        stage.claims.equal("the job succeeds", driver["status"]["phase"], "Succeeded")
        # What a job of this size reads lies with the executor that wrote it.
        name = "shuffle_register_executor_request_latency_seconds_count"
        registered = sum(stage.metric(name, node) for node in (1, 2))
        stage.claims.that("its executors registered with the service", registered > 0, f"{registered:.0f}")
        stage.gone_within("nothing is on the disks of both nodes", CLEAN_LIMIT_S, lambda: _files(stage) == [])
    finally:
        shell.clean()


class _Shell:
    """A shell on node1, as a person has one: kubectl and helm on the path, rights of an administrator."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        folder = stage.host(1, f"/data/{stage.namespace}")
        folder.mkdir(parents=True, exist_ok=True)
        stage.kubectl("create", "serviceaccount", "administrator")
        account = f"--serviceaccount={stage.namespace}:administrator"
        argv = ["create", "clusterrolebinding", "readme-administrator", "--clusterrole=cluster-admin", account]
        stage.machine.kubectl(*argv)
        config = {
            "clusters": [{"name": "here", "cluster": {"server": self._api(), "certificate-authority": self._authority()}}],
            "users": [{"name": "me", "user": {"token": stage.kubectl("create", "token", "administrator").strip()}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "here",
        }
        (folder / "config").write_text(json.dumps(config), encoding="utf-8")
        (folder / "kubectl").write_text(f'#!/bin/sh\nexec {stage.machine.kube} kubectl "$@"\n', encoding="utf-8")
        (folder / "helm").write_text(f'#!/bin/sh\nexec {program("helm")} "$@"\n', encoding="utf-8")
        for name in ("kubectl", "helm"):
            (folder / name).chmod(0o755)
        here = f"/data/{stage.namespace}"
        version = versions.newest()
        self._env = {
            "PATH": f"{here}:{os.environ['PATH']}",
            "KUBECONFIG": f"{here}/config",
            "HOME": here,
            "API": self._api(),
            "IMAGE": images.spark(version),
            "SPARK_HOME": str(venv.spark_home(version)),
            "SPARK_LOCAL_IP": network.node_ip(1),
            "SPARK_SUBMIT_OPTS": " ".join(f"-D{key}={value}" for key, value in _SMALL.items()),
        }

    def run(self, line: str) -> None:
        """Runs a line in the project's folder; raises when it fails."""
        done = self._bash(line)
        self._stage.log("readme.log").open("a", encoding="utf-8").write(f"$ {line}\n{done.stdout}{done.stderr}\n")
        self._stage.claims.that(f"$ {line}", done.returncode == 0, f"exit code {done.returncode}")
        if done.returncode != 0:
            raise RuntimeError(f"{line}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def clean(self) -> None:
        """Removes what the lines made."""
        self._bash("helm uninstall shuffle --wait; kubectl delete rolebinding,serviceaccount spark")
        kubectl = self._stage.machine.kubectl
        kubectl("delete", "pods", "--namespace=default", "--all", "--grace-period=0", "--force", "--ignore-not-found")
        kubectl("delete", "clusterrolebinding", "readme-administrator", "--ignore-not-found")

    def _bash(self, line: str) -> subprocess.CompletedProcess[str]:
        env = ["env", *(f"{key}={value}" for key, value in self._env.items())]
        in_project = f"cd {shlex.quote(str(_README.parent))}; {line}"
        argv = self._stage.machine.inside(1, [*env, "bash", "-euo", "pipefail", "-c", in_project])
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def _api(self) -> str:
        return f"https://{network.CONTROL_IP}:6443"

    def _authority(self) -> str:
        return f"{self._stage.machine.folder}/pki/ca.crt"


def _driver_that_ended(stage: Stage) -> dict[str, object] | None:
    pods = stage.machine.pods("default", "spark-role=driver")
    ended = [pod for pod in pods if pod["status"].get("phase") in ("Succeeded", "Failed")]
    return ended[0] if ended else None


def _files(stage: Stage) -> list[str]:
    disks = [stage.host(node, _DISK) for node in range(1, stage.machine.nodes + 1)]
    return [str(each) for disk in disks if disk.is_dir() for each in sorted(disk.iterdir())]
