"""A containerd root with every image imported, and copies of it for nodes in no time.

Layers and blobs are never changed in place, so a copy is links; only databases are copied.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.errors import PermanentError
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact, have
from tests.testbed.build.images import ARCHIVE, all_images
from tests.testbed.progress import step

_START_SECONDS = 60.0
#: The folder of the snapshotter with a folder for each layer.
_LAYERS = "snapshots"


def image_store() -> Artefact:
    """containerd's root directory as it is after all imports."""
    images = all_images()
    version = commands.run(["containerd", "--version"])

    def build(draft: Path) -> None:
        archives = [have(each) / ARCHIVE for each in images]
        with _containerd(draft) as socket:
            for archive in archives:
                with step(f"importing {archive.parent.name}"):
                    commands.run(["ctr", "-a", socket, "-n", "k8s.io", "images", "import", archive])

    recipe = "\n".join([version, *(each.path.name for each in images)])
    return Artefact("image-store", recipe, build)


def copy(store: Path, target: Path) -> None:
    """Make `target`, which must be on the same file system, a root of its own.

    The store must stay where it is, and be seen there by whoever mounts a layer.
    """
    for folder, below, names in os.walk(store):
        made = target / Path(folder).relative_to(store)
        if Path(folder).parent.name == _LAYERS:
            made.symlink_to(folder)
            below.clear()
            continue
        made.mkdir(mode=0o755)
        for name in names:
            place = shutil.copy2 if name.endswith(".db") else os.link
            place(Path(folder) / name, made / name)


@contextmanager
def _containerd(root: Path) -> Iterator[Path]:
    """A containerd without CRI over `root`, which ends with us; the address of its socket."""
    for stale in Path("/run").glob("aihow-import-*"):
        if not Path("/proc", stale.name.rpartition("-")[2]).exists():
            shutil.rmtree(stale)
    state = Path(f"/run/aihow-import-{os.getpid()}")
    state.mkdir(mode=0o700)
    config = state / "config.toml"
    socket = state / "containerd.sock"
    config.write_text(
        f'version = 2\nroot = "{root}"\nstate = "{state}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n',
        "utf-8",
    )
    log = (state / "log").open("wb")
    # Killed with us, and what it has mounted goes with its namespace.
    alone = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount")
    daemon = subprocess.Popen([*alone, "containerd", "-c", str(config)], stdout=log, stderr=log)
    try:
        _wait(daemon, socket)
        yield socket
    finally:
        daemon.terminate()
        daemon.wait()
        log.close()
        shutil.rmtree(state)


def _wait(daemon: "subprocess.Popen[bytes]", socket: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if socket.exists():
            return
        time.sleep(0.05)
    log = socket.with_name("log").read_text("utf-8", "replace")
    raise PermanentError("containerd", "start", log[-2000:])
