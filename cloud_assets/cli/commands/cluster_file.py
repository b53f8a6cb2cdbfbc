"""`validate`, `render` and `schema`: `cluster.yaml` itself, before anything is made of it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from cloud_assets.cli import output
from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.preflight import devices, reading
from cloud_assets.machines.preflight.devices import DeviceFinding
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.machines.spec import desired
from cloud_assets.settings.document import ClusterFile
from cloud_assets.settings_file import look_at_cluster_file, settings_path
from resources import atomic
from resources.errors import PermanentError, SettingsError

COLUMNS = ("machine", "role", "address", "cpus", "memory", "disk", "start", "gpus")
DEVICE_COLUMNS = ("", "device", "type", "class", "identity", "driver", "group", "for")


def validate(path: Path | None, *, looks_at_host: bool, as_json: bool) -> None:
    """The machines that a file asks for, then the devices of the host that it passes through.

    Raises SettingsError with all that is wrong with the file, and PermanentError where this host
    has some of the devices and cannot pass all of them on.
    """
    name = str(path or settings_path() or "")
    try:
        read = look_at_cluster_file(path)
    except SettingsError as error:
        if as_json:
            told = {"file": name, "valid": False, "problems": error.problems, "machines": []}
            output.json_document(told)
        raise
    found = desired(read.typed.clusters, read.typed.platform.machines)
    host = _Host.of(read.typed) if looks_at_host else None
    for warning in read.warnings:
        output.note(f"warning: {warning}")
    if as_json:
        machines = [asdict(machine) for machine in found.machines]
        told = {"file": name, "valid": True, "problems": [], "machines": machines}
        output.json_document({**told, "warnings": read.warnings, **_told(host)})
    else:
        if found.machines:
            output.records(COLUMNS, [_row(machine) for machine in found.machines], as_json=False)
        output.note(f"{name} is valid: {_counted(found)}")
        _show(host)
    _require_fit(host)


@dataclass(frozen=True)
class _Host:
    """What the host has of the devices; `is_meant` is False where it has none of them."""

    is_meant: bool
    kernel: tuple[Finding, ...]
    devices: tuple[DeviceFinding, ...]

    @classmethod
    def of(cls, read: ClusterFile) -> "_Host | None":
        """None where the file passes nothing through, or libvirt's host is another one."""
        wanted = devices.wanted(read.clusters)
        if not wanted or not reading.is_this_host(read.platform.machines.uri):
            return None
        found = reading.devices()
        is_meant = devices.is_here(wanted, found)
        rows = devices.rows(wanted, found)
        return cls(
            is_meant,
            tuple(devices.passthrough(wanted, found)) if is_meant else (),
            tuple(rows if is_meant else devices.milder(rows)),
        )

    @property
    def ill(self) -> tuple[str, ...]:
        """What stands in the way, each once."""
        every = [(each.what, each.level) for each in self.kernel]
        every += [(each.device, each.level) for each in self.devices]
        return tuple(dict.fromkeys(what for what, level in every if level == "fail"))


def _told(host: _Host | None) -> dict[str, object]:
    if host is None:
        return {"host": "not looked at", "kernel": [], "devices": []}
    standing = "unfit" if host.ill else "fit" if host.is_meant else "another"
    kernel, found = [asdict(e) for e in host.kernel], [asdict(e) for e in host.devices]
    return {"host": standing, "kernel": kernel, "devices": found}


def _show(host: _Host | None) -> None:
    if host is None:
        return
    if not host.is_meant:
        output.note(
            "warning: this host has none of the devices that the file passes through, "
            f"{', '.join(dict.fromkeys(each.device for each in host.devices))}: it is for another "
            "host, or they are called otherwise here (`lspci -Dnn`); --skip-pcie-validation leaves "
            "the host out"
        )
        return
    shown: list[dict[str, object]] = [
        {"": each.level, "device": each.what, "found": each.found, "fix": each.fix}
        for each in host.kernel
    ]
    shown += [
        {
            **asdict(each),
            "": each.level,
            "class": each.pci_class,
            "group": each.group,
            "for": ", ".join(each.machines),
        }
        for each in host.devices
    ]
    output.records(DEVICE_COLUMNS, shown, as_json=False, sentences=("found", "fix"))


def _require_fit(host: _Host | None) -> None:
    if host is None or not host.ill:
        return
    raise PermanentError(
        "this host", "pass through what the file names", ", ".join(host.ill),
        hint="see the fixes above; for the file of another host take --skip-pcie-validation",
    )  # fmt: skip


def _counted(found: Desired) -> str:
    machines = [f"{len(each.machines)} machines of {each.name}" for each in found.clusters]
    return ", ".join(machines) or "it has no clusters of machines"


def _row(machine: Machine) -> dict[str, object]:
    return {
        "machine": machine.name,
        "role": machine.role,
        "address": machine.ip or "DHCP",
        "cpus": machine.vcpus,
        "memory": f"{machine.memory.size_bytes // 2**30} GiB",
        "disk": f"{machine.volume.capacity_bytes // 2**30} GiB",
        "start": "with the cluster" if machine.auto_start else "by hand",
        "gpus": " ".join(machine.gpus),
    }


def render(
    template: Path, *, target: Path | None, show_variables: bool, validate_only: bool
) -> None:
    """The file with values for its variables, to `target` or standard output."""
    from cloud_assets.settings_file.rendering import rendered

    found = rendered(template, spelling_only=validate_only)
    if show_variables or validate_only:
        for name, times in found.used.items():
            output.note(f"${name}: {times} time{'' if times == 1 else 's'}")
    if validate_only:
        output.note(f"{template} is well written: {len(found.used)} variables")
    elif target is None:
        output.piece(found.text)
    else:
        atomic.replace(target, found.text)
        output.note(f"wrote {target}")


def schema() -> None:
    """The JSON Schema of all of the file."""
    output.json_document(ClusterFile.model_json_schema())
