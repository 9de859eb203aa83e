"""Network namespaces and cgroups of the cluster, and what the machine must have for them.

    the machine ── shuffle-host ──┐
                                  │ bridge in the namespace of the control plane, 10.98.0.1
    node N, 10.98.0.(10+N) ───────┘ its Pods: 10.245.N.0/24
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from sparktest.cache import say
from sparktest.waiting import WaitedTooLong, wait_for

CONTROL = "shuffle-ctl"
CONTROL_IP = "10.98.0.1"
#: The service `kubernetes`, as Pods see the API server.
API_SERVICE_IP = "10.96.0.1"
_HOST_IP = "10.98.0.254"
_HOST_LINK = "shuffle-host"
_LEAVE_LIMIT_S = 10.0
_CGROUPS = Path("/sys/fs/cgroup")
#: Programs and the packages of Debian that have them.
_PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "gcc": "gcc libc6-dev",
    "java": "openjdk-17-jdk-headless",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}


def node(number: int) -> str:
    """The name of a node's network namespace and cgroup."""
    return f"shuffle-node{number}"


def node_ip(number: int) -> str:
    """A node's address."""
    return f"10.98.0.{10 + number}"


def pod_cidr(number: int) -> str:
    """The addresses of a node's Pods."""
    return f"10.245.{number}.0/24"


def need() -> None:
    """Raises unless this is root; installs the packages of Debian that are missing, or names them."""
    if os.geteuid() != 0:
        raise RuntimeError("the cluster needs root: sudo make test-cluster")
    missing = [package for name, package in _PROGRAMS.items() if shutil.which(name) is None]
    if not missing:
        return
    packages = " ".join(missing).split()
    line = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"missing: {', '.join(packages)}\n    install it, on Debian: {line}")
    say(f"cluster: {line}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for argv in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qqy", "--no-install-recommends", *packages]):
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")


def make(nodes: int) -> None:
    """Makes all namespaces, links, routes and cgroups."""
    _ip(f"netns add {CONTROL}")
    _in(CONTROL, "link add br0 type bridge", f"addr add {CONTROL_IP}/24 dev br0", "link set br0 up", "link set lo up")
    _forward(CONTROL)
    _ip(f"link add {_HOST_LINK} type veth peer name v-host netns {CONTROL}")
    _in(CONTROL, "link set v-host master br0 up")
    _ip(f"addr add {_HOST_IP}/24 dev {_HOST_LINK}")
    _ip(f"link set {_HOST_LINK} up")
    for number in range(1, nodes + 1):
        name, address = node(number), node_ip(number)
        _ip(f"netns add {name}")
        _in(CONTROL, f"link add v-{number} type veth peer name eth0 netns {name}", f"link set v-{number} master br0 up")
        _in(name, f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up")
        _in(name, f"route add default via {CONTROL_IP}")
        _forward(name)
        _in(CONTROL, f"route add {pod_cidr(number)} via {address}")
        _ip(f"route add {pod_cidr(number)} via {CONTROL_IP} dev {_HOST_LINK}")
        for hierarchy in _hierarchies():
            _cgroup(hierarchy, name)


def remove() -> None:
    """Removes what `make` made, now or in a run that was cut off."""
    if Path("/sys/class/net", _HOST_LINK).exists():
        _ip(f"link del {_HOST_LINK}")
    found = Path("/run/netns")
    for each in sorted(found.glob("shuffle-*")) if found.is_dir() else []:
        _ip(f"netns del {each.name}")
    for top in [*_CGROUPS.glob("*/shuffle-node*"), *_CGROUPS.glob("shuffle-node*")]:
        with contextlib.suppress(WaitedTooLong):
            wait_for(lambda top=top: _gone(top), _LEAVE_LIMIT_S, f"{top} to be empty")


def _gone(top: Path) -> bool:
    """Removes a cgroup from its leaves up; processes of a killed namespace take a moment to leave."""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not top.exists()


def _hierarchies() -> list[Path]:
    """The hierarchies of cgroup v1; the kubelet wants its root in each."""
    kinds = (line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines())
    return [Path(words[1]) for words in kinds if words[2] == "cgroup"]


def _cgroup(hierarchy: Path, name: str) -> None:
    (hierarchy / name).mkdir(exist_ok=True)
    # A new cpuset is empty, and nothing runs in it.
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (hierarchy / name / file).exists():
            (hierarchy / name / file).write_text((hierarchy / file).read_text())


def _forward(namespace: str) -> None:
    _run(["nsenter", f"--net=/run/netns/{namespace}", "sysctl", "-qw", "net.ipv4.ip_forward=1"])


def _in(namespace: str, *commands: str) -> None:
    for command in commands:
        _run(["ip", "-n", namespace, *command.split()])


def _ip(command: str) -> None:
    _run(["ip", *command.split()])


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
