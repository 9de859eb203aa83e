#!/usr/bin/env python3
"""Writes an OCI image of one static program, without a container daemon.

    build.py PROGRAM NAME:TAG OUT.tar

The same program gives the same bytes: times are 1970, owners are root, nothing of the machine is
in it. `ctr images import`, `docker load`, `podman load` and `skopeo copy oci-archive:OUT.tar` read it.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

#: Where ELF says what a program is for (e_machine), and what images call that.
_MACHINES = {62: "amd64", 183: "arm64"}
_EPOCH = "1970-01-01T00:00:00Z"
_OCI = "application/vnd.oci.image"
#: An entry of a tar: name, mode, and its bytes; None for a directory, a text for where a link leads.
_Entry = tuple[str, int, bytes | str | None]
#: What lies around the program.
_BEFORE: list[_Entry] = [
    ("etc/", 0o755, None),
    # For whatever looks up a name; the daemon itself needs none.
    ("etc/passwd", 0o644, b"root:x:0:0:root:/:/\nspark:x:185:0:spark:/:/\n"),
    ("etc/group", 0o644, b"root:x:0:\n"),
]
_AFTER: list[_Entry] = [
    # Under this name the program is the client of the control plane, for `kubectl exec`.
    ("usr/", 0o755, None),
    ("usr/bin/", 0o755, None),
    ("usr/bin/shufflectl", 0o777, "/shuffle-daemon"),
]
#: How a container is run; the Dockerfile says the same.
_CONFIG = {
    "User": "185:0",
    "Entrypoint": ["/shuffle-daemon"],
    "WorkingDir": "/",
    "Env": ["PATH=/usr/bin"],
    "ExposedPorts": {"7337/tcp": {}, "7338/tcp": {}},
    "Labels": {
        "org.opencontainers.image.title": "shuffle-daemon",
        "org.opencontainers.image.licenses": "Apache-2.0",
    },
}


def tar(entries: list[_Entry]) -> bytes:
    """A tar of these entries, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode, data in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def architecture_of(program: Path, binary: bytes) -> str:
    """What the program is for, as images call it. Ends the process when it cannot be in the image."""
    if binary[:4] != b"\x7fELF":
        sys.exit(f"{program} is not a program of Linux")
    if b"/ld-linux" in binary[:4096] or b"/ld-musl" in binary[:4096]:
        sys.exit(f"{program} is not static: it needs a loader that the image does not have")
    machine = int.from_bytes(binary[18:20], "little")
    if machine not in _MACHINES:
        sys.exit(f"{program} is for a machine (ELF's number {machine}) that is none of {sorted(_MACHINES.values())}")
    return _MACHINES[machine]


def main(program: Path, name: str, out: Path) -> None:
    """Writes the archive and says what is in it."""
    binary = program.read_bytes()
    architecture = architecture_of(program, binary)
    layer = tar([*_BEFORE, ("shuffle-daemon", 0o755, binary), *_AFTER])
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": _EPOCH,
            "config": _CONFIG,
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created": _EPOCH, "created_by": "shuffle-daemon"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar+gzip", packed)],
        }
    )
    described = {
        **_descriptor("manifest.v1+json", manifest),
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
    }
    index = _json({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [described]})
    # `docker load` reads this one.
    docker = _json([{"Config": _blob(config)[0], "RepoTags": [name], "Layers": [_blob(packed)[0]]}])
    archive = tar(
        [
            ("oci-layout", 0o644, b'{"imageLayoutVersion": "1.0.0"}'),
            ("index.json", 0o644, index),
            ("manifest.json", 0o644, docker),
            ("blobs/", 0o755, None),
            ("blobs/sha256/", 0o755, None),
            _blob(config),
            _blob(manifest),
            _blob(packed),
        ]
    )
    part = out.with_name(f"{out.name}.part")
    part.write_bytes(archive)
    part.rename(out)
    print(f"{out}: {name} for {architecture}, {len(archive) / 1e6:.1f} MB, {_digest(manifest)}")


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> _Entry:
    return ("blobs/" + _digest(data).replace(":", "/"), 0o644, data)


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(data), "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
