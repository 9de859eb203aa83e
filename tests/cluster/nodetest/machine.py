"""The cluster: control plane and nodes, each in network namespaces of its own, on this machine.

    python3 -m nodetest.machine --image FILE.tar [--nodes 2]

prints one line of JSON (see `Machine`) when all nodes are ready, and takes everything down when
standard input ends or a signal arrives. One cluster a machine at a time: addresses are fixed.

A server of the control plane that ends is started again, unless a file `hold-NAME` lies in the
folder of the cluster: so a story takes the API server away and brings it back.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import select
import shutil
import ssl
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clustertest.programs import program
from sparktest.processes import Child, Stopped, stop_on_signals
from sparktest.cache import cache_dir, say
from sparktest.waiting import wait_for

from . import images, network

_READY_LIMIT_S = 180.0
_LOOK_S = 0.2


@dataclasses.dataclass(frozen=True)
class Machine:
    """Where a running cluster is; all that a story needs to know."""

    folder: str
    #: The program with all of Kubernetes in it.
    kube: str
    nodes: int
    #: Name of the daemon's image.
    image: str

    @property
    def kubeconfig(self) -> str:
        """Credentials of an administrator."""
        return f"{self.folder}/pki/admin.conf"

    def node_dir(self, node: int) -> Path:
        """What belongs to a node; its /data is `data` in it."""
        return Path(self.folder) / f"node{node}"

    def inside(self, node: int, argv: list[str]) -> list[str]:
        """A command line that runs `argv` in all namespaces of a node."""
        parent = int((self.node_dir(node) / "unshare.pid").read_text())
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return ["nsenter", "--target", children[0], "--net", "--mount", "--uts", "--pid", *argv]

    def on(self, node: int, *argv: str) -> str:
        """Runs a command in all namespaces of a node; returns what it wrote, raises when it fails."""
        done = subprocess.run(self.inside(node, list(argv)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)} on node{node} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def kubectl(self, *argv: str, given: str | None = None) -> str:
        """Runs kubectl as administrator."""
        command = [self.kube, "kubectl", "--kubeconfig", self.kubeconfig, *argv]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(argv)}: {done.stderr}")
        return done.stdout

    def get(self, path: str) -> Any:
        """Asks the API server for a path, as administrator; raises OSError when it does not answer well.

        A fraction of the cost of kubectl, for what is asked again and again.
        """
        pki = f"{self.folder}/pki"
        context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
        context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
        url = f"https://{network.CONTROL_IP}:6443{path}"
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return json.load(answer)

    def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """The Pods of a namespace that have these labels."""
        query = urllib.parse.urlencode({"labelSelector": selector})
        found: list[dict[str, Any]] = self.get(f"/api/v1/namespaces/{namespace}/pods?{query}")["items"]
        return found

    def load(self, archive: Path) -> None:
        """Imports an image on every node."""
        name = image_name(archive)
        for node in range(1, self.nodes + 1):
            images = ["ctr", "-n", "k8s.io", "images"]
            self.on(node, *images, "import", str(archive))
            if "/" not in name:  # what the kubelet takes such a name for
                self.on(node, *images, "tag", "--force", name, f"docker.io/library/{name}")

    def hold(self, server: str) -> None:
        """Ends a server of the control plane, such as `kube-apiserver`, until `release`."""
        self._hold(server).touch()
        pid = int((Path(self.folder) / f"{server}.pid").read_text())
        os.kill(pid, 9)

    def release(self, server: str) -> None:
        """Lets a server start again and, for the API server, waits until it answers."""
        self._hold(server).unlink(missing_ok=True)
        if server == "kube-apiserver":
            wait_for(self.answers, _READY_LIMIT_S, "the API server to be back")

    def answers(self) -> bool:
        """Whether the API server is ready."""
        try:
            return self.kubectl("get", "--raw", "/readyz", "--request-timeout=2s") == "ok"
        except RuntimeError:
            return False

    def _hold(self, server: str) -> Path:
        return Path(self.folder) / f"hold-{server}"


def image_name(archive: Path) -> str:
    """The name of the image in an archive."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        return str(json.load(manifest)[0]["RepoTags"][0])


class _ControlPlane:
    """The servers of the control plane, started again when they end."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._folder = Path(machine.folder)
        self._running: dict[str, Child] = {}
        self._commands = _servers(machine)

    def start(self, name: str) -> None:
        command = ["nsenter", f"--net=/run/netns/{network.CONTROL}", self.machine.kube, *self._commands[name]]
        child = Child(name, command, self._folder / f"{name}.log", dict(os.environ))
        self._running[name] = child
        (self._folder / f"{name}.pid").write_text(str(child.pid))

    def start_all(self) -> None:
        for name in self._commands:
            self.start(name)
            if name == "kube-apiserver":
                wait_for(self.machine.answers, _READY_LIMIT_S, f"the API server (see {self._folder}/{name}.log)")

    def look(self) -> None:
        """Starts again what has ended and is not held."""
        for name, child in list(self._running.items()):
            if not child.alive() and not (self._folder / f"hold-{name}").exists():
                child.kill()
                self.start(name)

    def kill(self) -> None:
        for child in reversed(list(self._running.values())):
            child.kill()


def _servers(machine: Machine) -> dict[str, list[str]]:
    pki, folder = f"{machine.folder}/pki", machine.folder
    client = ["--leader-elect=false", "--bind-address=127.0.0.1"]
    return {
        "etcd": [
            "etcd",
            f"--data-dir={folder}/etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
        ],
        "kube-apiserver": [
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={network.CONTROL_IP}",
            f"--advertise-address={network.CONTROL_IP}",
            "--secure-port=6443",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--allow-privileged",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
        ],
        "kube-controller-manager": [
            "kube-controller-manager",
            f"--kubeconfig={pki}/controllers.conf",
            *client,
            "--use-service-account-credentials",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/sa.key",
            "--service-cluster-ip-range=10.96.0.0/16",
        ],
        "kube-scheduler": ["kube-scheduler", f"--kubeconfig={pki}/scheduler.conf", *client],
    }


def _node(machine: Machine, node: int) -> Child:
    folder = machine.node_dir(node)
    folder.mkdir(parents=True)
    name = network.node(node)
    env = dict(
        os.environ,
        NODE=f"node{node}",
        NODE_IP=network.node_ip(node),
        NODE_DIR=str(folder),
        POD_CIDR=network.pod_cidr(node),
        KUBE=machine.kube,
        PKI=f"{machine.folder}/pki",
        CGROUP=name,
    )
    # nsenter, and not `ip netns exec`: that hides the cgroups behind a fresh /sys. Killing `unshare`
    # ends the PID namespace, and so the whole node.
    argv = ["nsenter", f"--net=/run/netns/{name}", "unshare", "--mount", "--uts", "--pid", "--fork"]
    argv += ["--kill-child=KILL", "--mount-proc", str(Path(__file__).with_name("node.sh"))]
    child = Child(name, argv, folder / "node.log", env)
    (folder / "unshare.pid").write_text(str(child.pid))
    return child


def _ready(machine: Machine) -> bool:
    found = json.loads(machine.kubectl("get", "nodes", "-o", "json"))["items"]
    ready = [c["status"] for each in found for c in each["status"].get("conditions", []) if c["type"] == "Ready"]
    return ready == ["True"] * machine.nodes


@contextlib.contextmanager
def running(nodes: int, archive: Path) -> Iterator[tuple[Machine, _ControlPlane]]:
    """A cluster that lives as long as the `with` block, with the images of Spark and of the daemon."""
    network.need()
    archives = [*images.needed(), archive]
    folder = cache_dir() / "cluster"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(cache_dir() / "cluster.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError("a cluster runs on this machine already, and there is room for one") from None
        network.remove()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o755)
        machine = Machine(str(folder), str(program("kube")), nodes, image_name(archive))
        control, children = _ControlPlane(machine), []
        try:
            network.make(nodes)
            _certificates(machine)
            control.start_all()
            say("cluster: the API server answers")
            children = [_node(machine, node) for node in range(1, nodes + 1)]
            wait_for(lambda: _ready(machine), _READY_LIMIT_S, f"{nodes} ready nodes (see {folder}/node*/*.log)")
            say(f"cluster: {nodes} nodes are ready")
            for each in archives:
                machine.load(each)
            say("cluster: its images are there")
            yield machine, control
        finally:
            for child in children:
                child.kill()
            control.kill()
            network.remove()


def _certificates(machine: Machine) -> None:
    argv = [machine.kube, "pki", "--server", f"https://{network.CONTROL_IP}:6443"]
    for node in range(1, machine.nodes + 1):
        argv += ["--node", f"node{node}={network.node_ip(node)}"]
    subprocess.run([*argv, f"{machine.folder}/pki"], check=True)


def main() -> int:
    """Runs a cluster until standard input ends."""
    parser = argparse.ArgumentParser(description="Run a Kubernetes cluster until standard input ends.")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--image", type=Path, required=True, help="the archive that `make image` wrote")
    options = parser.parse_args()
    stop_on_signals()
    with running(options.nodes, options.image.resolve()) as (machine, control):
        print(json.dumps(dataclasses.asdict(machine)), flush=True)
        while True:
            readable, _, _ = select.select([sys.stdin], [], [], _LOOK_S)
            if readable and not os.read(sys.stdin.fileno(), 4096):
                return 0
            control.look()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        say(str(error))
        sys.exit(1)
    except Stopped:
        sys.exit(130)
