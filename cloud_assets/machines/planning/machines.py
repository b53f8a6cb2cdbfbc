"""What each machine of a cluster has to change; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cloud_assets.machines.desired import Machine
from cloud_assets.machines.differences import FieldDifference, differences
from cloud_assets.machines.domain_xml import seed_name
from cloud_assets.machines.gpus.allocation import held
from cloud_assets.machines.planning.change import BY_FILE, BY_HAND, Blueprint, Change, Options
from resources.libvirt import Domain, Observation, State, Volume

_LOSS = "what it has written would be lost; `--allow-data-loss` replaces its disk"
_RENAME = "rename the cluster, or remove the other by hand"
#: What cloud-init is told differs; the other disk is read at the next start.
SEED_PATH = "cloud-init"
#: libvirt's reason of a domain that is off because its process died.
CRASHED = 3
#: And of one that is paused because its disk could not be written.
_UNWRITTEN = 5
WHY_CRASHED = "it crashed"


def changes(
    drawn: Sequence[Blueprint], observed: Observation, options: Options, taken: dict[str, str]
) -> Iterator[Change]:
    """Of each machine in order; `taken` is who has a device by then, and is added to."""
    for each in drawn:
        found = list(_of_machine(each, observed, options, taken))
        pending = [change for change in found if change.action != "nothing"]
        yield from pending or found


def _of_machine(
    drawn: Blueprint, observed: Observation, options: Options, taken: dict[str, str]
) -> Iterator[Change]:
    machine = drawn.machine
    found = observed.domain(machine.name)
    base = Change("machine", machine.cluster, machine.name, "nothing", "as it should be")
    stranger = _stranger(drawn, found, observed)
    if stranger:
        yield replace(base, action="create", why=stranger, withheld=_RENAME, refused=True)
        return
    held = _held(machine, observed, taken)
    runs = machine.auto_start and not held
    if runs or (found is not None and found.is_active):
        taken |= dict.fromkeys(machine.hostdevs, machine.name)
    disk = _of_disk(base, machine, found, observed)
    if disk.action == "replace":
        allowed = options.allow_data_loss
        yield replace(disk, withheld="" if allowed else _LOSS, starts=runs)
        if not allowed:
            return
    elif found is None:
        why = f"there is none; {_size(machine)}"
        yield replace(base, action="create", why=why, starts=runs)
    else:
        yield from _in_place(drawn, found, disk, observed, runs)
    if held and machine.auto_start and (found is None or not found.is_active):
        yield replace(base, action="start", why="it is off", withheld=held)


def _stranger(drawn: Blueprint, found: Domain | None, observed: Observation) -> str:
    """Why the name or the UUID is not ours to take, "" where it is."""
    other = next((each for each in observed.domains if each.uuid == drawn.identity.uuid), None)
    if other is not None and other.name != drawn.identity.name:
        return f"its UUID is that of the domain {other.name}"
    if found is None:
        return ""
    if found.uuid != drawn.identity.uuid:
        return "another domain has that name and is not ours"
    if found.configured.mark is None:
        return "the domain of that name and UUID has no mark of ours"
    return ""


def _held(machine: Machine, observed: Observation, taken: dict[str, str]) -> str:
    """Which device of it another machine has, "" where all are free or its own."""
    for address in machine.hostdevs:
        holder = observed.holder(address)
        if holder is not None and holder.name != machine.name:
            found = held(address, holder, observed.devices)
            return f"{found.why}; {found.hint(machine.name)}"
        first = taken.get(address, machine.name)
        if first != machine.name:
            return f"`{first}`, which starts before it, gets {address}"
    return ""


def _of_disk(base: Change, machine: Machine, found: Domain | None, observed: Observation) -> Change:
    """`replace` where it is to lie on another image or be smaller, `update` where it is to grow."""
    pool = observed.pool(machine.volume.pool)
    if pool is None or not pool.is_active:
        return base
    volume = next((each for each in pool.volumes if each.name == machine.volume.name), None)
    if volume is None:
        gone = (FieldDifference("disk", None, _disk(machine)),)
        why = "its disk is gone"
        return replace(base, action="update", why=why, differences=gone) if found else base
    return _of_volume(base, machine, volume)


def _of_volume(base: Change, machine: Machine, volume: Volume) -> Change:
    wanted = machine.volume
    if volume.backing != str(wanted.backing):
        lies = (FieldDifference("disk/backing", volume.backing, str(wanted.backing)),)
        return replace(base, action="replace", why="it has another image", differences=lies)
    size = (FieldDifference("disk/capacity", str(volume.capacity), str(wanted.capacity_bytes)),)
    if volume.capacity > wanted.capacity_bytes:
        return replace(base, action="replace", why="its disk is to be smaller", differences=size)
    if volume.capacity < wanted.capacity_bytes:
        return replace(base, action="update", why="its disk is to be larger", differences=size)
    return base


def _in_place(
    drawn: Blueprint, found: Domain, disk: Change, observed: Observation, runs: bool
) -> Iterator[Change]:
    is_on = found.is_active and found.state is not State.PAUSED
    written = _of_definition(drawn, found, disk, observed)
    if disk.action == "update" and found.is_active:
        yield replace(disk, withheld=f"it is on; `ai-how vm stop {disk.name}`, then apply again")
    elif disk.action == "update":
        every = (*written.differences, *disk.differences)
        written = replace(disk, differences=every)
    if written.action != "nothing":
        yield replace(written, starts=runs and not is_on)
    elif runs and not is_on:
        yield replace(written, action="start", why=_why_off(found), starts=True)
    else:
        yield replace(written, why="it runs" if is_on else "it is off, as it should be")
    if found.is_active:
        yield from _of_running(drawn, found, written)


def _of_definition(drawn: Blueprint, found: Domain, base: Change, observed: Observation) -> Change:
    document, mark = drawn.document, found.configured.mark or {}
    differing = list(differences(document.xml, found.configured_xml, "domain"))
    is_old = mark.get("digest") != document.digest or mark.get("seed") != drawn.seed_digest
    if mark.get("seed") != drawn.seed_digest:
        differing.append(FieldDifference(SEED_PATH, mark.get("seed"), drawn.seed_digest))
    elif _lacks_seed(drawn.machine, observed):
        differing.append(FieldDifference(SEED_PATH, None, drawn.seed_digest))
    if not found.is_persistent:
        differing.append(FieldDifference("definition", None, document.digest))
    elif found.is_autostart != starts_with_host(drawn.machine):
        wanted = starts_with_host(drawn.machine)
        differing.append(FieldDifference("autostart", _on(found.is_autostart), _on(wanted)))
    if is_old and not differing:
        differing.append(FieldDifference("metadata/digest", mark.get("digest"), document.digest))
    clean = replace(base, action="nothing", why="", differences=())
    if not differing:
        return clean
    why = BY_FILE if is_old else BY_HAND
    return replace(clean, action="update", why=why, differences=tuple(differing))


def _of_running(drawn: Blueprint, found: Domain, base: Change) -> Iterator[Change]:
    """What runs is left as it is; libvirt has put the host's processor into it."""
    differing = list(differences(drawn.document.xml, found.xml, "domain", without="cpu"))
    mark = found.live.mark or {}
    if not differing and mark.get("digest") != drawn.document.digest:
        differing.append(
            FieldDifference("metadata/digest", mark.get("digest"), drawn.document.digest)
        )
    if mark.get("seed") != drawn.seed_digest:
        differing.append(FieldDifference(SEED_PATH, mark.get("seed"), drawn.seed_digest))
    if differing:
        yield replace(
            base, action="restart", why="it runs as it was before", differences=tuple(differing),
            withheld=f"`ai-how vm restart {base.name}` takes it up", starts=False,
        )  # fmt: skip


def starts_with_host(machine: Machine) -> bool:
    """Whether libvirt starts it: never one with devices, since the first of two would take them."""
    return machine.auto_start and not machine.hostdevs


def _lacks_seed(machine: Machine, observed: Observation) -> bool:
    pool = observed.pool(machine.volume.pool)
    known = pool is not None and pool.is_active
    names = {each.name for each in pool.volumes} if pool else set()
    return known and seed_name(machine.name) not in names


def _why_off(found: Domain) -> str:
    if found.state is State.PAUSED:
        full = "it is paused: the host could not write its disk"
        return full if found.reason == _UNWRITTEN else "it is paused"
    return WHY_CRASHED if found.reason == CRASHED else "it is off"


def _on(value: bool) -> str:
    return "yes" if value else "no"


def _disk(machine: Machine) -> str:
    return f"{machine.volume.capacity_bytes} bytes on {machine.volume.backing}"


def _size(machine: Machine) -> str:
    return (
        f"{machine.vcpus} CPUs, {machine.memory.size_bytes // 2**30} GiB, "
        f"disk of {machine.volume.capacity_bytes // 2**30} GiB on {machine.image.name}"
    )
