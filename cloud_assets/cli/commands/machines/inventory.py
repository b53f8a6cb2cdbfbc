"""`inventory generate-hpc` and `generate-k8s`: the machines that run, as Ansible reads them."""

from collections.abc import Sequence
from pathlib import Path

from cloud_assets.cli import output
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.guests.login import Login
from cloud_assets.machines.host import Host
from cloud_assets.machines.inventories import groups, live
from cloud_assets.machines.inventories.groups import Inventory, Reached
from cloud_assets.machines.inventories.rendering import rendered
from cloud_assets.settings.machines.roster import Kind
from cloud_assets.settings_file import load_cluster_file
from resources import atomic
from resources.errors import UsageError


def generate(
    kind: Kind, words: Sequence[str], *, form: str, target: Path | None, key: Path | None,
    user: str | None,
) -> None:  # fmt: skip
    """Print it, or write it to `target`; `words` are a file and which cluster of it, or neither."""
    path, name = _named(words)
    read = load_cluster_file(path)
    host = Host.of(read.platform.machines, read.clusters)
    cluster = _chosen(host, kind, name)
    login = Login.of(host.settings, read.platform.home)
    with host.connected() as connection:
        found = live.look(connection, cluster, login)
    for each in found.left_out:
        output.note(f"{each} is left out: it is off, as `auto_start: false` has it")
    given = str((key or login.key).expanduser().absolute())
    text = rendered(_inventory(cluster, found.reached, user or login.user, given), form)
    # Ansible makes no directory for the host keys that it is told to keep.
    login.known_hosts.parent.mkdir(parents=True, exist_ok=True)
    if target is None:
        output.piece(text)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(target, text)
    output.note(f"wrote {target}")


def _inventory(cluster: Cluster, reached: Sequence[Reached], user: str, key: str) -> Inventory:
    if cluster.kind == "hpc":
        return groups.slurm(cluster, reached, user=user, key=key)
    if not any(each.machine.role != "control-plane" for each in reached):
        output.note("no worker runs: the control plane takes the pods")
    return groups.kubespray(reached, user=user, key=key)


def _named(words: Sequence[str]) -> tuple[Path | None, str]:
    """A single word is a file where there is one of that name, or it is spelt as one."""
    if len(words) > 2:
        raise UsageError(f"there is one word too many: {words[2]}", hint="see `--help`")
    if len(words) == 2:
        return Path(words[0]), words[1]
    if not words:
        return None, ""
    is_file = Path(words[0]).exists() or words[0].endswith((".yaml", ".yml"))
    return (Path(words[0]), "") if is_file else (None, words[0])


def _chosen(host: Host, kind: Kind, name: str) -> Cluster:
    found = next((each for each in host.desired.clusters if each.kind == kind), None)
    if found is None:
        raise UsageError(f"the file has no {kind} cluster", hint=f"describe it: `clusters.{kind}`")
    if name not in ("", kind, found.name):
        raise UsageError(
            f"`{name}` is not the {kind} cluster", hint=f"leave it out, or say `{kind}`"
        )
    return found
