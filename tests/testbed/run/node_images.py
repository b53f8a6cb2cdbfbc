"""Images that only some tests need: brought to the nodes of a running testbed, and taken away.

What every cluster has is in the image store that its nodes begin with (`build.image_store`).
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from resources.errors import PermanentError
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact, have
from tests.testbed.build.images import ARCHIVE
from tests.testbed.run.node import Node
from tests.testbed.run.places import Places


@contextmanager
def on_nodes(where: Places, names: Sequence[str], *wanted: Artefact) -> Iterator[None]:
    """Within, the nodes of these names have the images; they are built where need be."""
    archives = [have(each) / ARCHIVE for each in wanted]
    sockets = [_socket(Node(int(name.rpartition("-")[2]), where)) for name in names]
    for socket in sockets:
        for archive in archives:
            _ctr(socket, "import", str(archive))
    try:
        yield
    finally:
        images = [name for archive in archives for name in _names(archive)]
        for socket in sockets:
            _ctr(socket, "rm", *images)


def _ctr(socket: Path, *arguments: str) -> None:
    commands.run(["ctr", "-a", socket, "-n", "k8s.io", "images", *arguments])


def _socket(node: Node) -> Path:
    """The node's containerd as this process reaches it: nodes have mounts of their own."""
    wanted = str(node.home / "containerd.toml")
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-1:] == [wanted]:
            return Path("/proc", str(process.pid), "root", str(node.state)[1:], "containerd.sock")
    raise PermanentError("the testbed", f"bring images to {node.name}", "its containerd is away")


def _names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        found = tar.extractfile("manifest.json")
        assert found is not None
        return [name for each in json.load(found) for name in each["RepoTags"]]
