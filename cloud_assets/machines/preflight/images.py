"""The images below the disks of machines, and the directories that these are given. Pure."""

from collections.abc import Iterator
from pathlib import Path

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding, ill, slower, well
from resources.host.files import Image


def images(desired: Desired, facts: Facts) -> Iterator[Finding]:
    """Each image once, then each directory."""
    smallest: dict[Path, int] = {}
    for each in desired.machines:
        size = each.volume.capacity_bytes
        smallest[each.image] = min(size, smallest.get(each.image, size))
    is_system = facts.libvirt.is_system
    for path, capacity in smallest.items():
        yield _image(facts.images[path], capacity, facts.user, is_system=is_system)
    for place, is_there in facts.shared.items():
        if not is_there:
            fix = f"`mkdir -p {place}`, or correct virtio_fs_mounts"
            yield ill(f"directory {place}", "not there; machines that have it do not start", fix)


def _image(image: Image, capacity: int, user: str, *, is_system: bool) -> Finding:
    what = f"image {image.path}"
    if not image.is_there:
        fix = "build or copy it there, or correct base_image_path"
        return ill(what, "not there", fix)
    if not image.is_readable:
        return ill(what, f"{user} may not read it", f"`setfacl -m u:{user}:r {image.path}`")
    if image.format != "qcow2":
        return _other_format(what, image)
    if image.strangers:
        found = f"anybody may write to {image.strangers}, and so into every machine on it"
        return ill(what, found, f"`chmod o-w {image.strangers}`")
    if image.size > capacity:
        wanted = -(-image.size // 2**30)
        return ill(what, "larger than a disk on it", f"set disk_gb to at least {wanted}")
    if is_system and image.closed:
        found = f"qcow2; QEMU's user may not enter {image.closed}"
        return slower(what, found, f"`setfacl -m u:libvirt-qemu:x {image.closed}`")
    return well(what, "qcow2")


def _other_format(what: str, image: Image) -> Finding:
    if not image.format:
        return (
            slower(what, image.problem, "`apt-get install qemu-utils`")
            if ("not installed" in image.problem)
            else ill(what, image.problem, f"build it anew; `qemu-img info {image.path}` says more")
        )
    fix = (
        f"`qemu-img convert -f {image.format} -O qcow2 {image.path} {image.path}.new && "
        f"mv {image.path}.new {image.path}`"
    )
    return ill(what, f"its format is {image.format}, not qcow2", fix)
