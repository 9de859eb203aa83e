"""Builds the programs of the cluster from Go modules, once, under a cache outside the tree.

    python3 -m clustertest.programs [kube | helm]...

prints the path of each on standard output and its progress on standard error. `kube` is etcd, the
API server, the kubelet and the rest in one (see `kube/main.go`); `helm` is Helm. The key of the
cache is a hash of all inputs of the build, so an old program is never used for a new source.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sparktest.cache import cache_dir, once, run, say

_HERE = Path(__file__).resolve().parent.parent
GO_MIN = (1, 25)
_NEED = "Go 1.25 or newer is missing: unpack it to /usr/local/go, put /usr/local/go/bin on the PATH"
_PACKAGES = {"kube": ".", "helm": "helm.sh/helm/v3/cmd/helm"}
#: A program that is built already may be given, for instance where there is no Go.
_GIVEN = {"kube": "SHUFFLE_KUBE", "helm": "SHUFFLE_HELM"}


def program(name: str) -> Path:
    """The program `kube` or `helm`; builds it when it is not in the cache.

    Raises `RuntimeError` with the last lines of the build when it fails.
    """
    if given := os.environ.get(_GIVEN[name]):
        return Path(given)
    source = _HERE / name
    final = cache_dir() / f"{name}-{key([source])}" / name
    return once(name, final, lambda: _build(name, source, final))


def key(inputs: list[Path], *more: str) -> str:
    """A hash of the content of files and folders, and of further text."""
    digest = hashlib.sha256(platform.machine().encode())
    for text in more:
        digest.update(text.encode() + b"\0")
    for each in inputs:
        for file in sorted(each.rglob("*")) if each.is_dir() else [each]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _build(name: str, source: Path, final: Path) -> None:
    _need_go()
    began = time.monotonic()
    say(f"{name}: building it from Go modules (once; kube takes 7 to 14 minutes on 2 cores, helm 2)")
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly", GOTOOLCHAIN="local")
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=f"building-{name}-") as folder:
        argv = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", _flags(source), "-o", f"{folder}/{name}"]
        run([*argv, _PACKAGES[name]], f"{name}: still building", cwd=source, env=env)
        final.parent.mkdir(exist_ok=True)
        Path(folder, name).rename(final)
    say(f"{name}: ready after {time.monotonic() - began:.0f} s: {final}")


def _flags(source: Path) -> str:
    """Linker flags: small, and with the version that the modules have (else kubectl sees v0.0.0)."""
    lines = (source / "go.mod").read_text(encoding="utf-8").split("\n")
    found = [words[1] for words in map(str.split, lines) if len(words) >= 2 and words[0] == "k8s.io/kubernetes"]
    flags = ["-s", "-w"]
    if found:
        major, minor, _ = found[0].removeprefix("v").split(".")
        values = {"gitVersion": found[0], "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        flags += [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
    return " ".join(flags)


def _need_go() -> None:
    if shutil.which("go") is None:
        raise RuntimeError(_NEED)
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in said.strip().removeprefix("go").split(".")[:2])
    if version < GO_MIN:
        raise RuntimeError(f"{_NEED} (there is {said.strip()})")


def main() -> int:
    """Builds what the arguments name; without any, all."""
    names = sys.argv[1:] or list(_PACKAGES)
    if unknown := [name for name in names if name not in _PACKAGES]:
        say(f"no such program: {', '.join(unknown)}; there are {', '.join(_PACKAGES)}")
        return 2
    try:
        for name in names:
            print(program(name), flush=True)
    except RuntimeError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
