"""Images of Spark and of the Pods' pause process, written without a container tool.

Archives that `ctr images import` reads, under the cache; their keys are hashes of what they are
made from. The base of Spark's image comes from Debian's packages (a minute, root), Spark itself
from the environment of the pyspark package that the other tests use.
"""

import dataclasses
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from clustertest.programs import key
from sparktest import venv, versions
from sparktest.cache import cache_dir, say

PAUSE = "localhost/pause:1"
_HERE = Path(__file__).resolve().parent
_EPOCH = "1970-01-01T00:00:00Z"
#: As Debian and images call it.
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_JAVA_HOME = f"/usr/lib/jvm/java-17-openjdk-{_ARCHITECTURE}"
#: What executors and drivers need. User 185, group 0 as in images made by Spark's own Dockerfile; Hadoop's
#: login needs its name.
_BASE = [
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--mode=root",
    "--include=openjdk-17-jre-headless,python3-minimal,libpython3-stdlib,tini,procps",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    # The JRE's alternatives want the folder, not the pages.
    '--setup-hook=mkdir -p "$1/usr/share/man/man1"',
    '--customize-hook=chroot "$1" useradd -u 185 -g 0 -d /opt/spark -s /bin/bash spark',
    "--customize-hook=rm -rf \"$1\"/etc/apt/sources.list \"$1\"/etc/apt/sources.list.d",
    "bookworm",
]


#: What of the pyspark package is in the image, where Spark's own images have it.
_PARTS = ("bin", "sbin", "jars", "python/lib", "examples/src/main/python")


@dataclasses.dataclass(frozen=True)
class _Image:
    """What is in an image besides its layers."""

    name: str
    entrypoint: str
    user: str = ""
    env: tuple[str, ...] = ()


def spark(version: str) -> str:
    """The name of the image of a Spark release."""
    return f"localhost/spark:{version}"


def needed() -> list[Path]:
    """The archives that every cluster has: pause, and the newest Spark."""
    return [_pause(), spark_archive(versions.newest())]


def _pause() -> Path:
    source = _HERE / "pause.c"
    archive = cache_dir() / f"pause-{key([source, Path(__file__)])}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "pause"
            _run(["gcc", "-static", "-Os", "-s", "-o", str(program), str(source)])
            _write(archive, _Image(PAUSE, "/pause"), [], [(program, "pause")])
    return archive


def spark_archive(version: str) -> Path:
    """The archive with the image of a Spark release."""
    home = venv.spark_home(version)
    entrypoint = _HERE / "entrypoint.sh"
    archive = cache_dir() / f"spark-{version}-{key([entrypoint, Path(__file__)], *_BASE)}.tar"
    if not archive.exists():
        zips = [f"/opt/spark/python/lib/{each.name}" for each in sorted((home / "python/lib").glob("*.zip"))]
        env = ("SPARK_HOME=/opt/spark", f"JAVA_HOME={_JAVA_HOME}", f"PYTHONPATH={':'.join(zips)}")
        image = _Image(spark(version), "/opt/entrypoint.sh", "185", env)
        files = [(home / part, f"opt/spark/{part}") for part in _PARTS]
        _write(archive, image, [_base()], [*files, (entrypoint, "opt/entrypoint.sh")])
    return archive


def _base() -> Path:
    layer = cache_dir() / f"base-{key([], *_BASE)}.tar"
    if not layer.exists():
        began = time.monotonic()
        say("image: Debian with Java and Python for Spark's Pods (once; about a minute)")
        with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
            made = Path(folder) / "base.tar"
            sources = Path("/etc/apt/sources.list.d/debian.sources")
            _run([*_BASE, str(made), *([str(sources)] if sources.exists() else [])])
            made.rename(layer)
        say(f"image: ready after {time.monotonic() - began:.0f} s")
    return layer


def _rooted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The same bytes each time; owned by root."""
    if "__pycache__" in info.name:
        return None
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    return info


def _write(archive: Path, image: _Image, layers: list[Path], files: list[tuple[Path, str]]) -> None:
    """Writes an archive of the layers and one more with the files."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        own = Path(folder) / "layer.tar"
        with tarfile.open(own, "w", dereference=True) as tar:
            for source, place in files:
                tar.add(source, place, filter=_rooted)
        made = Path(folder) / "image.tar"
        _archive(made, image, [*layers, own])
        made.rename(archive)


def _archive(path: Path, image: _Image, layers: list[Path]) -> None:
    digests = []
    for layer in layers:
        with open(layer, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    path_variable = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    config = {
        "architecture": _ARCHITECTURE,
        "os": "linux",
        "created": _EPOCH,
        "config": {"Env": [path_variable, *image.env], "User": image.user, "Entrypoint": [image.entrypoint]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": _EPOCH} for _ in digests],
    }
    content = json.dumps(config).encode()
    name = f"{hashlib.sha256(content).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": name, "RepoTags": [image.name], "Layers": names}]).encode()
    with tarfile.open(path, "w") as tar:
        for entry, data in ((name, content), ("manifest.json", manifest)):
            info = tarfile.TarInfo(entry)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for entry, layer in zip(names, layers):
            info = tarfile.TarInfo(entry)
            info.size = os.path.getsize(layer)
            with open(layer, "rb") as file:
                tar.addfile(info, file)


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
