"""The tiny guest on a disk, so that a machine of the product boots it: up in some seconds.

It has no agent, and what listens at its port 22 greets like an SSH server and does no more.
"""

import shutil
from pathlib import Path

from tests.hypervisor import bootable, tiny_guest
from tests.testbed.build import cache
from tests.testbed.build.cache import Artefact

DISK = "disk.qcow2"
_MEBIBYTES = 48


def image(*words: str) -> Path:
    """The disk whose guest has these words of `tiny_guest`, built where it is not there yet."""
    return cache.have(_tiny_disk(words)) / DISK


def _tiny_disk(words: tuple[str, ...]) -> Artefact:
    guest = tiny_guest.tiny_guest()
    line = " ".join(("console=ttyS0", "quiet", *words))

    def build(draft: Path) -> None:
        parts = cache.have(guest)
        root = draft / "root"
        root.mkdir()
        for each in (tiny_guest.KERNEL, tiny_guest.INITRAMFS):
            shutil.copy(parts / each, root)
        bootable.disk(
            draft, DISK, initrd=f"/{tiny_guest.INITRAMFS}", words=line, mebibytes=_MEBIBYTES
        )

    name = "-".join(("tiny-disk", *words))
    return Artefact(name, "\n".join((guest.recipe, line, bootable.RECIPE)), build)
