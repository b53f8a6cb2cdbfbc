"""Disks that a BIOS boots, made of a directory: partition, ext4, boot loader; no machine is run."""

import shutil
from pathlib import Path

from tests.testbed.build import commands

_LOADER = """DEFAULT linux
PROMPT 0
LABEL linux
  LINUX /vmlinuz
  INITRD {initrd}
  APPEND {words}
"""
#: The machine's own extlinux needs but to see the tree mounted, here for itself alone.
_COPY = """
set -eu
truncate --size "$size"M disk.raw
printf 'label: dos\\nstart=2048, type=83, bootable\\n' | sfdisk --quiet disk.raw
dd if=/usr/lib/EXTLINUX/mbr.bin of=disk.raw conv=notrunc status=none
device=$(losetup --show --find --offset 1048576 disk.raw)
trap 'losetup --detach "$device"' EXIT
# extlinux reads no ext4 with 64-bit fields, nor files on blocks of 1 KiB.
mkfs.ext4 -q -b 4096 -O ^64bit,^metadata_csum -L root -d root "$device"
mkdir mounted
mount "$device" mounted
extlinux --install mounted/boot/extlinux
umount mounted
"""
#: What a recipe has to have of this module.
RECIPE = _LOADER + _COPY


def disk(draft: Path, name: str, *, initrd: str, words: str, mebibytes: int) -> None:
    """Have the qcow2 image `name` of `draft/root`, which goes; kernel and initrd lie in it."""
    root = draft / "root"
    loader = root / "boot" / "extlinux"
    loader.mkdir(parents=True, exist_ok=True)
    (loader / "extlinux.conf").write_text(_LOADER.format(initrd=initrd, words=words), "ascii")
    commands.run(
        ["unshare", "--mount", "sh", "-c", _COPY],
        directory=draft, environment={"size": str(mebibytes)},
    )  # fmt: skip
    commands.run(["qemu-img", "convert", "-O", "qcow2", draft / "disk.raw", draft / name])
    for each in (root, draft / "mounted"):
        shutil.rmtree(each)
    (draft / "disk.raw").unlink()
