"""`topology`: clusters, machines and GPUs as a tree."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from cloud_assets.cli import output
from cloud_assets.cli.output import Branch
from cloud_assets.machines.desired import Cluster, Desired, Machine
from cloud_assets.machines.spec import desired
from cloud_assets.settings_file import load_cluster_file


def topology(path: Path | None, *, as_json: bool) -> None:
    """What the file asks for; what runs of it is not asked of libvirt here."""
    read = load_cluster_file(path)
    found = desired(read.clusters, read.platform.machines)
    if as_json:
        output.json_document(document(found))
    elif found.clusters:
        output.trees(branches(found, {}))
    else:
        output.note("there are no clusters of machines; describe some under `clusters:`")


def document(found: Desired) -> dict[str, object]:
    """The clusters with all that their machines are to be, and who wants each GPU."""
    users = {gpu: [each.name for each in machines] for gpu, machines in found.users().items()}
    return {**asdict(found), "gpus": users}


def branches(found: Desired, states: Mapping[str, str]) -> Iterator[Branch]:
    """A tree a cluster and one of GPUs; `states` are those of domains by their names."""
    for cluster in found.clusters:
        yield _cluster(cluster, states)
    gpus = tuple(_gpu(gpu, machines) for gpu, machines in found.users().items())
    if gpus:
        yield Branch("GPUs", gpus)


def _cluster(cluster: Cluster, states: Mapping[str, str]) -> Branch:
    network = cluster.network
    title = f"{cluster.name}: {network.subnet} on {network.bridge}"
    return Branch(title, tuple(_machine(each, states) for each in cluster.machines))


def _machine(machine: Machine, states: Mapping[str, str]) -> Branch:
    told = [
        str(machine.ip or "DHCP"),
        f"{machine.vcpus} CPUs",
        f"{machine.memory.size_bytes // 2**30} GiB",
        *(f"GPU {each}" for each in machine.gpus),
        *(["started by hand"] if not machine.auto_start else []),
    ]
    return Branch(f"{machine.name}: {', '.join(told)}", state=states.get(machine.name, ""))


def _gpu(address: str, machines: tuple[Machine, ...]) -> Branch:
    names = " or ".join(each.name for each in machines)
    return Branch(f"{address}: {names}{', one at a time' if len(machines) > 1 else ''}")
