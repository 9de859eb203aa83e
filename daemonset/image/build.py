#!/usr/bin/env python3
"""Writes an OCI image of one static program, without a container daemon.

    build.py PROGRAM NAME:TAG OUT.tar

The same program gives the same bytes: times are 1970, owners are root, nothing of the machine is
in it. `ctr images import`, `docker load`, `podman load` and `skopeo copy oci-archive:OUT.tar` read it.
"""
import gzip, hashlib, io, json, os, platform, sys, tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Where ELF says what it is for: e_machine.
MACHINES = {62: "amd64", 183: "arm64"}
EPOCH = "1970-01-01T00:00:00Z"


def tar(entries):
    """A tar of (name, mode, bytes or None for a directory)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode, data in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def main(program, name, out):
    with open(program, "rb") as file:
        binary = file.read()
    if binary[:4] != b"\x7fELF":
        sys.exit(f"{program} is not a program of Linux")
    if b"/ld-linux" in binary[:4096] or b"/ld-musl" in binary[:4096]:
        sys.exit(f"{program} is not static: it needs a loader that the image does not have")
    architecture = MACHINES.get(int.from_bytes(binary[18:20], "little")) or ARCHITECTURES[platform.machine()]
    layer = tar([
        ("etc/", 0o755, None),
        # For whatever looks up a name; the daemon itself needs none.
        ("etc/passwd", 0o644, b"root:x:0:0:root:/:/\nspark:x:185:0:spark:/:/\n"),
        ("etc/group", 0o644, b"root:x:0:\n"),
        ("shuffle-daemon", 0o755, binary),
    ])
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    config = json.dumps({
        "architecture": architecture, "os": "linux", "created": EPOCH,
        "config": {"User": "185:0", "Entrypoint": ["/shuffle-daemon"], "WorkingDir": "/",
                   "ExposedPorts": {"7337/tcp": {}, "7338/tcp": {}},
                   "Labels": {"org.opencontainers.image.title": "shuffle-daemon",
                              "org.opencontainers.image.licenses": "Apache-2.0"}},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": EPOCH, "created_by": "shuffle-daemon"}],
    }, sort_keys=True).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(packed), "size": len(packed)}],
    }, sort_keys=True).encode()
    index = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest),
                       "size": len(manifest), "platform": {"architecture": architecture, "os": "linux"},
                       "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}}],
    }, sort_keys=True).encode()
    blob = lambda data: ("blobs/sha256/" + hashlib.sha256(data).hexdigest(), 0o644, data)
    # `docker load` reads this one.
    docker = json.dumps([{"Config": blob(config)[0], "RepoTags": [name], "Layers": [blob(packed)[0]]}]).encode()
    archive = tar([
        ("oci-layout", 0o644, b'{"imageLayoutVersion": "1.0.0"}'),
        ("index.json", 0o644, index),
        ("manifest.json", 0o644, docker),
        ("blobs/", 0o755, None),
        ("blobs/sha256/", 0o755, None),
        blob(config), blob(manifest), blob(packed),
    ])
    with open(out + ".part", "wb") as file:
        file.write(archive)
    os.rename(out + ".part", out)
    print(f"{out}: {name} for {architecture}, {len(archive) / 1e6:.1f} MB, {digest(manifest)}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
