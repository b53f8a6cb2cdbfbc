"""Where a running testbed keeps its files, all below one directory that `down` removes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.build import cache


@dataclass(frozen=True)
class Places:
    """The files and folders of one testbed; `home` is also supervisord's."""

    home: Path

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def cgroup(self) -> str:
        """The name of its branch of the cgroup tree, which all testbeds of a machine share."""
        return f"aihow-testbed-{hashlib.sha256(str(self.home).encode()).hexdigest()[:8]}"

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def programs(self) -> Path:
        """What the cell is told: its first programs, and the hosts it routes to, as JSON."""
        return self.home / "programs.json"

    @property
    def s3_credentials(self) -> Path:
        return self.home / "s3.json"

    @property
    def volumes(self) -> Path:
        """The directories behind PersistentVolumes."""
        return self.home / "volumes"

    @property
    def ready(self) -> Path:
        """Is there once a start was seen through to its end."""
        return self.home / "ready"

    @property
    def kept(self) -> Path:
        """Is there where the testbed is to outlive the tests that use it."""
        return self.home / "kept"

    @property
    def log(self) -> Path:
        """What the cell says before supervisord is up."""
        return self.home / "cell.log"

    def node(self, name: str) -> Path:
        """Everything that a node writes."""
        return self.home / name


def default() -> Places:
    return Places(cache.root() / "run")
