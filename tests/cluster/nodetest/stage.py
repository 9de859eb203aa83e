"""What a story is given: the cluster, a namespace, a disk of its own, the chart, claims.

    python3 -m nodetest.stage STORY --machine JSON

runs one story and prints one line of JSON; exit code 0 when all claims held. Logs of everything
are kept in the folder of the cluster, below `stories`, when a claim fails.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from clustertest.programs import program
from sparktest.claims import Claims
from sparktest.processes import Stopped, stop_on_signals
from sparktest.waiting import WaitedTooLong, wait_for

from . import network
from .application import Application, How
from .machine import Machine

#: Quiet stories take one or two minutes; on a machine that does other things, many times that.
_STORY_LIMIT_S = 900
_HOW = How()
_PODS_LIMIT_S = 120.0
#: After the last Pod of an application nothing of it may be left for longer.
CLEAN_LIMIT_S = 60.0
_CHART = Path(__file__).resolve().parents[3] / "daemonset" / "chart"
#: What a driver may do in its namespace.
_RIGHTS = _CHART.parent / "examples" / "driver-rights.yaml"


class StoryTooLong(Exception):
    """A story did not end in time."""


class Stage:
    """The stage on which one story plays."""

    def __init__(self, story: str, machine: Machine, claims: Claims) -> None:
        """Makes the namespace and the rights of drivers in it."""
        self.story, self.machine, self.claims = story, machine, claims
        self.namespace = story.replace("_", "-")
        self._releases: list[str] = []
        self._applications: list[Application] = []
        self._logs = Path(machine.folder) / "stories" / story
        self._logs.mkdir(parents=True, exist_ok=True)
        for node in range(1, machine.nodes + 1):  # of a run before, on a cluster that was left up
            shutil.rmtree(self.host(node, f"/data/{self.namespace}"), ignore_errors=True)
        machine.kubectl("create", "namespace", self.namespace)
        machine.kubectl("-n", self.namespace, "apply", "-f", str(_RIGHTS))

    @property
    def disk(self) -> str:
        """The hostPath directory that the daemon and executors of this story share."""
        return self.disk_of("shuffle")

    def disk_of(self, release: str) -> str:
        """The same for one of several releases of the chart."""
        return f"/data/{self.namespace}/{release}-disk"

    def host(self, node: int, path: str) -> Path:
        """A path below /data of a node, as this process sees it."""
        return self.machine.node_dir(node) / path.lstrip("/")

    def log(self, name: str) -> Path:
        """A file for what a process writes."""
        return self._logs / name

    def kubectl(self, *argv: str) -> str:
        """kubectl in the namespace of the story."""
        return self.machine.kubectl("-n", self.namespace, *argv)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """The Pods of the story that have these labels."""
        return self.machine.pods(self.namespace, selector)

    def credentials(self) -> tuple[str, str]:
        """A token of the drivers' service account, and the file of the authority to check the API server."""
        token = self.kubectl("create", "token", "spark", "--duration=2h").strip()
        return token, f"{self.machine.folder}/pki/ca.crt"

    # ---- the chart -----------------------------------------------------------------------------

    def install(self, release: str = "shuffle", values: dict[str, Any] | None = None) -> None:
        """Installs the chart, or changes the installed one, and waits until its Pods are ready."""
        repository, _, tag = self.machine.image.rpartition(":")
        all_values = {
            "image": {"repository": repository, "tag": tag},
            "disks": [{"path": self.disk_of(release)}],
            "stateDir": f"/data/{self.namespace}/{release}-state",
            **(values or {}),
        }
        argv = ["upgrade", "--install", release, str(_CHART), "--wait", "--timeout=120s", "--values=-"]
        self._helm(*argv, given=json.dumps(all_values))
        if release not in self._releases:
            self._releases.append(release)

    def uninstall(self, release: str) -> None:
        """Removes a release and waits until its Pods are gone."""
        self._helm("uninstall", release, "--wait", "--timeout=120s")
        self._releases.remove(release)
        wait_for(lambda: not self.daemon_pods(release), _PODS_LIMIT_S, f"the Pods of {release} to be gone")

    def daemon_pods(self, release: str = "shuffle") -> list[dict[str, Any]]:
        """The Pods of a release."""
        return self.pods(f"app.kubernetes.io/instance={release}")

    def daemon_pod(self, node: int = 1) -> dict[str, Any]:
        """The Pod of the release `shuffle` on a node."""
        return next(pod for pod in self.daemon_pods() if pod["spec"]["nodeName"] == f"node{node}")

    def wait_for_daemon(self, nodes: int, other_than: str = "", release: str = "shuffle") -> None:
        """Waits until as many Pods of the release are ready, none of them with this UID."""

        def ready() -> bool:
            found = self.daemon_pods(release)
            states = [c["status"] for pod in found for c in pod["status"].get("conditions", []) if c["type"] == "Ready"]
            return states == ["True"] * nodes and all(pod["metadata"]["uid"] != other_than for pod in found)

        wait_for(ready, _PODS_LIMIT_S, f"{nodes} ready Pods of {release}")

    def _helm(self, *argv: str, given: str | None = None) -> None:
        command = [str(program("helm")), "--kubeconfig", self.machine.kubeconfig, "--namespace", self.namespace, *argv]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"helm {' '.join(argv)}: {done.stderr}\n{self._state()}")

    def metric(self, name: str, node: int = 1, port: int = 7338) -> float:
        """The sum of a metric of a node's daemon over its labels; 0 when it does not have it."""
        url = f"http://{network.node_ip(node)}:{port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        values = [line.rsplit(" ", 1)[1] for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(value) for value in values)

    def daemon_memory_kib(self, node: int = 1) -> int:
        """Resident memory of the largest daemon of a node; sidecars count, too."""
        found = self.machine.on(node, "ps", "-C", "shuffle-daemon", "-o", "rss=").split()
        return max(int(each) for each in found)

    # ---- applications and files ----------------------------------------------------------------

    def application(self, name: str, settings: dict[str, str] | None = None, how: How = _HOW) -> Application:
        """Submits an application and waits for its driver; `settings` win over those of the example."""
        application = Application(self, name, how, settings or {})
        self._applications.append(application)
        print(f"    application {application.id} ({name})", file=sys.stderr, flush=True)
        return application

    def files(self, below: str = "", node: int = 1, release: str = "shuffle") -> list[str]:
        """All files of the story's disk, or below a directory of it; relative names."""
        top = self.host(node, self.disk_of(release)) / below
        found = []
        for folder, _, names in os.walk(top):  # files may go while this looks
            found += [os.path.relpath(os.path.join(folder, name), top) for name in names]
        return sorted(found)

    def entries(self, node: int = 1, release: str = "shuffle") -> list[str]:
        """What lies at the top of the disk, empty directories too."""
        top = self.host(node, self.disk_of(release))
        return sorted(os.listdir(top)) if top.is_dir() else []

    def map_outputs(self, application: Application, release: str = "shuffle") -> list[str]:
        """The data files of an application's map outputs."""
        return [name for name in self.files(application.id, release=release) if name.endswith(".data")]

    def gone_within(self, what: str, limit_s: float, is_gone: Callable[[], bool]) -> None:
        """Claims that something is gone within a time from now; keeps how long it took."""
        began = time.monotonic()
        try:
            wait_for(is_gone, limit_s, what)
        except WaitedTooLong:
            self.claims.that(f"{what} within {limit_s:.0f} s", False, self.files()[:20] or self.entries())
            return
        took = round(time.monotonic() - began, 1)
        self.claims.that(f"{what} within {limit_s:.0f} s", True, f"{took} s")
        self.claims.figure(what, took)

    # ---- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Removes what the story made; keeps logs of everything if a claim failed."""
        if not self.claims.held:
            self._keep_logs()
        for application in self._applications:
            application.kill()
        for release in list(self._releases):
            try:
                self.uninstall(release)
            except (RuntimeError, WaitedTooLong) as error:
                print(f"    {error}", file=sys.stderr)
        self.machine.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", "--ignore-not-found")

    def _state(self) -> str:
        return self.kubectl("get", "pods,daemonsets,events", "-o", "wide")

    def _keep_logs(self) -> None:
        self.log("state.txt").write_text(self._state(), encoding="utf-8")
        self.log("pods.json").write_text(self.kubectl("get", "pods", "-o", "json"), encoding="utf-8")
        self.log("files.txt").write_text("\n".join(self.files()), encoding="utf-8")
        for pod in json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]:
            name = pod["metadata"]["name"]
            for more in ([], ["--previous"]):
                try:
                    text = self.kubectl("logs", name, "--all-containers", "--tail=-1", *more)
                except RuntimeError as error:
                    text = str(error)
                self.log(f"pod-{name}{''.join(more)}.log").write_text(text, encoding="utf-8")
        print(f"    logs are in {self._logs}", file=sys.stderr, flush=True)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise StoryTooLong(f"the story took more than {_STORY_LIMIT_S} s")


def main() -> int:
    """Runs one story."""
    from .stories import ALL  # the stories import this module

    parser = argparse.ArgumentParser(description="Run one story on a running cluster.")
    parser.add_argument("story", choices=sorted(ALL))
    parser.add_argument("--machine", required=True, help="the line that nodetest.machine printed")
    options = parser.parse_args()
    claims = Claims()
    stop_on_signals()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_STORY_LIMIT_S)
    began = time.monotonic()
    stage = Stage(options.story, Machine(**json.loads(options.machine)), claims)
    try:
        ALL[options.story](stage)
    except Stopped:
        return 130
    except Exception:
        claims.that("the story ran to its end", False, traceback.format_exc()[-4000:])
    finally:
        signal.alarm(0)
        stage.close()
    seconds = round(time.monotonic() - began, 1)
    print(claims.to_json(story=options.story, seconds=seconds), flush=True)
    return 0 if claims.held else 1


if __name__ == "__main__":
    sys.exit(main())
