"""`validate`, `render` and `schema`: `cluster.yaml` itself, before anything is made of it."""

from dataclasses import asdict
from pathlib import Path

from cloud_assets.cli import output
from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.spec import desired
from cloud_assets.settings_file import load_cluster_file, settings_path
from resources import atomic
from resources.errors import SettingsError

COLUMNS = ("machine", "role", "address", "cpus", "memory", "disk", "start", "gpus")


def validate(path: Path | None, *, as_json: bool) -> None:
    """The machines that a file asks for. Raises SettingsError with all that is wrong."""
    name = str(path or settings_path() or "")
    try:
        read = load_cluster_file(path)
    except SettingsError as error:
        if as_json:
            told = {"file": name, "valid": False, "problems": error.problems, "machines": []}
            output.json_document(told)
        raise
    found = desired(read.clusters, read.platform.machines)
    if as_json:
        machines = [asdict(machine) for machine in found.machines]
        output.json_document({"file": name, "valid": True, "problems": [], "machines": machines})
        return
    if found.machines:
        output.records(COLUMNS, [_row(machine) for machine in found.machines], as_json=False)
    output.note(f"{name} is valid: {_counted(found)}")


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
    from cloud_assets.settings.document import ClusterFile

    output.json_document(ClusterFile.model_json_schema())
