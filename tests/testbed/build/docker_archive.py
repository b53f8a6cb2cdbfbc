"""docker-archive files: images without a registry, as `ctr images import` takes them.

A layer is a plain tar; what goes into one is left to `images`.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Image:
    """One image: its full name with tag, its layers from the lowest up, how it is run."""

    name: str
    layers: Sequence[Path]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    #: Numeric, so that `runAsNonRoot` can be judged; root when empty.
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def write(archive: Path, images: Sequence[Image]) -> None:
    """Write one archive with all `images`; a layer that several share is in it once."""
    digests = {layer: _digest(layer) for image in images for layer in image.layers}
    manifest = []
    with tarfile.open(archive, "w") as tar:
        for layer, digest in digests.items():
            tar.add(layer, arcname=f"{digest}/layer.tar", filter=_anonymous)
        for image in images:
            config = json.dumps(_config(image, digests), sort_keys=True).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            add_bytes(tar, name, config)
            layers = [f"{digests[layer]}/layer.tar" for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": layers})
        add_bytes(tar, "manifest.json", json.dumps(manifest).encode())


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    """Put one file into an open archive, owned by root, at the beginning of time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _config(image: Image, digests: Mapping[Path, str]) -> dict[str, Any]:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **image.environment}
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint) or None,
            "Cmd": list(image.command) or None,
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "User": image.user,
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{digests[layer]}" for layer in image.layers],
        },
    }


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
