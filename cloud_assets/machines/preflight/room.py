"""Whether disks, memory and huge pages of the host suffice for the machines. Pure."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding, gibibytes, ill, slower, well
from resources.host.files import Directory

#: What a new machine writes until it is up.
_FIRST_BYTES = 2**30
_HUGE = {2 * 2**20: "2M", 2**30: "1G"}


def room(desired: Desired, facts: Facts) -> Iterator[Finding]:
    """File systems with pools by what they must hold at worst, then memory."""
    by_device: dict[int, list[Directory]] = {}
    for each in facts.pools.values():
        by_device.setdefault(each.device, []).append(each)
    for directories in by_device.values():
        paths = {Path(each.path) for each in directories}
        held = [c for c in desired.clusters if c.pool.path in paths]
        yield _disk(directories, [each for c in held for each in c.machines], facts)
    yield from (_pool(each, facts) for each in facts.pools.values())
    starting = [each for each in desired.machines if each.auto_start and not _runs(each, facts)]
    yield _memory(starting, facts)
    yield from _huge_pages(starting, facts)


def _runs(machine: Machine, facts: Facts) -> bool:
    found = facts.seen.domain(machine.name) if facts.seen else None
    return found is not None and found.is_active


def _disk(directories: Sequence[Directory], machines: Sequence[Machine], facts: Facts) -> Finding:
    """Overlays grow: what is to be allowed for is their size, what is needed is a start."""
    free, where = directories[0].free, directories[0].nearest
    left = {each.name: facts.taken.get(each.name, 0) for each in machines}
    growth = sum(max(0, m.volume.capacity_bytes - left[m.name]) for m in machines)
    first = sum(_FIRST_BYTES for taken in left.values() if not taken)
    found = f"{gibibytes(free)} free at {where}, disks may grow by {gibibytes(growth)}"
    fix = f"`du -xh {where} | sort -h | tail` shows what to free; or set machines.pool_root"
    if free < first:
        return ill("machines' disk", found, fix)
    return slower("machines' disk", found, fix) if free < growth else well("machines' disk", found)


def _pool(directory: Directory, facts: Facts) -> Finding:
    what = f"pool {directory.path}"
    is_system = facts.libvirt.is_system
    if not directory.is_directory:
        found = f"{directory.nearest} is no directory"
        return ill(what, found, "set machines.pool_root to a directory")
    if directory.strangers:
        found = f"anybody may write to {directory.strangers}, and so take a disk away"
        return ill(what, found, f"`chmod o-w {directory.strangers}`")
    if not is_system and not directory.is_writable:
        found = f"this user may not write to {directory.nearest}"
        return ill(what, found, f"`chown {facts.user} {directory.nearest}`")
    if is_system and directory.closed:
        found = f"QEMU's user may not enter {directory.closed}"
        return slower(what, found, f"`setfacl -m u:libvirt-qemu:x {directory.closed}`")
    return well(what, "there" if directory.is_there else "is made with the cluster")


def _memory(starting: Sequence[Machine], facts: Facts) -> Finding:
    """What is passed a device is in memory as a whole; other machines take what they touch."""
    ordinary = [each for each in starting if each.memory.hugepage_bytes is None]
    wanted = sum(each.memory.size_bytes for each in ordinary)
    pinned = sum(each.memory.size_bytes for each in ordinary if each.hostdevs)
    memory = facts.memory
    there = f"{gibibytes(memory.available)} of {gibibytes(memory.total)} available"
    found = f"{there}, machines that start with their clusters take {gibibytes(wanted)}"
    fix = "lower memory_gb, or let some machine have `auto_start: false`"
    if pinned > memory.available or wanted > memory.total:
        return ill("machines' memory", found, fix)
    if wanted > memory.available:
        return slower("machines' memory", found, f"end something, or {fix}")
    return well("machines' memory", found)


def _huge_pages(starting: Sequence[Machine], facts: Facts) -> Iterator[Finding]:
    sizes = sorted({m.memory.hugepage_bytes for m in starting if m.memory.hugepage_bytes})
    for size in sizes:
        sizes_of = [m.memory.size_bytes for m in starting if m.memory.hugepage_bytes == size]
        wanted, free = sum(sizes_of), facts.memory.huge.get(size, 0)
        what = f"huge pages {_HUGE[size]}"
        found = f"{gibibytes(free)} free, {gibibytes(wanted)} wanted"
        if free >= wanted:
            yield well(what, found)
            continue
        place = f"/sys/kernel/mm/hugepages/hugepages-{size // 1024}kB/nr_hugepages"
        more = -(-(wanted - free) // size)
        fix = f"`echo $(($(cat {place}) + {more})) > {place}`, as root, soon after the boot"
        yield ill(what, found, fix)
