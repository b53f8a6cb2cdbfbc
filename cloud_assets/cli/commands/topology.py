"""`topology`: clusters, machines and GPUs as a tree, with how they stand where libvirt answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Thread

from cloud_assets.cli import output
from cloud_assets.cli.output import Branch
from cloud_assets.machines.desired import Cluster, Desired, Machine
from cloud_assets.machines.gpus.conflicts import Conflict, conflicts
from cloud_assets.machines.gpus.inventory import inventory
from cloud_assets.machines.spec import desired
from cloud_assets.settings_file import load_cluster_file
from resources.errors import AiHowError
from resources.libvirt import Connection, Observation, observation

#: A hypervisor on another machine may never answer; the file is there at once.
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Live:
    """How things stand: states of machines by name, of clusters by name, owners by GPU."""

    machines: Mapping[str, str]
    clusters: Mapping[str, str]
    owners: Mapping[str, str]
    conflicts: tuple[Conflict, ...] = ()


@dataclass
class _Answer:
    seen: Observation | None = None
    problem: str = field(default_factory=lambda: f"libvirt did not answer in {ANSWER_SECONDS:g} s")


def topology(path: Path | None, *, as_json: bool) -> None:
    """What the file asks for, and what there is of it now."""
    read = load_cluster_file(path)
    found = desired(read.clusters, read.platform.machines)
    if not found.clusters and not as_json:
        output.note("there are no clusters of machines; describe some under `clusters:`")
        return
    answer = _asked(read.platform.machines.uri)
    if answer.seen is None:
        output.note(f"the file alone is shown: {answer.problem}")
    live = live_of(found, answer.seen) if answer.seen is not None else None
    if as_json:
        output.json_document(document(found, live))
    else:
        output.trees(branches(found, live))


def _asked(uri: str) -> _Answer:
    """In a thread, which is left behind where it hangs in libvirt."""
    answer = _Answer()

    def ask() -> None:
        try:
            with Connection(uri, read_only=True) as connection:
                answer.seen = observation.machines(connection)
        except AiHowError as error:
            answer.problem = str(error)

    asking = Thread(target=ask, name="topology", daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    return answer


def live_of(found: Desired, seen: Observation) -> Live:
    """What is told of what is there; pure."""
    gpus = inventory(found, seen, {})
    states = {each.name: _state(each, seen) for each in found.machines}
    return Live(
        machines=states,
        clusters={each.name: _together(each, states) for each in found.clusters},
        owners={each.address: each.owner.name if each.owner else "" for each in gpus},
        conflicts=conflicts(gpus, found),
    )


def document(found: Desired, live: Live | None) -> dict[str, object]:
    """The clusters with all that their machines are to be, who wants each GPU, and what is so."""
    users = {gpu: [each.name for each in machines] for gpu, machines in found.users().items()}
    return {**asdict(found), "gpus": users, "live": asdict(live) if live else None}


def branches(found: Desired, live: Live | None) -> Iterator[Branch]:
    """A tree a cluster and one of GPUs."""
    for cluster in found.clusters:
        yield _cluster(cluster, live)
    gpus = tuple(_gpu(gpu, machines, live) for gpu, machines in found.users().items())
    if gpus:
        yield Branch("GPUs", gpus)


def _state(machine: Machine, seen: Observation) -> str:
    domain = seen.domain(machine.name)
    return str(domain.state) if domain and domain.uuid == machine.uuid else "absent"


def _together(cluster: Cluster, states: Mapping[str, str]) -> str:
    """Of a cluster: `running` where all run that start with it, `partial` where only some do."""
    found = [states[each.name] for each in cluster.machines]
    if "running" not in found:
        return "absent" if set(found) == {"absent"} else "off"
    wanted = [states[each.name] for each in cluster.machines if each.auto_start]
    return "running" if set(wanted) <= {"running"} else "partial"


def _cluster(cluster: Cluster, live: Live | None) -> Branch:
    network = cluster.network
    state = live.clusters[cluster.name] if live else ""
    title = f"{cluster.name}: {network.subnet} on {network.bridge}"
    if live and state == "partial":
        running = sum(live.machines[each.name] == "running" for each in cluster.machines)
        title += f", {running} of {len(cluster.machines)} machines run"
    return Branch(title, tuple(_machine(each, live) for each in cluster.machines), state)


def _machine(machine: Machine, live: Live | None) -> Branch:
    told = [
        str(machine.ip or "DHCP"),
        f"{machine.vcpus} CPUs",
        f"{machine.memory.size_bytes // 2**30} GiB",
        *(f"GPU {each}" for each in machine.gpus),
        *(["started by hand"] if not machine.auto_start else []),
    ]
    state = live.machines[machine.name] if live else ""
    return Branch(f"{machine.name}: {', '.join(told)}", state=state)


def _gpu(address: str, machines: Sequence[Machine], live: Live | None) -> Branch:
    names = " or ".join(each.name for each in machines)
    told = f"{address}: {names}{', one at a time' if len(machines) > 1 else ''}"
    if live is None:
        return Branch(told)
    owner = live.owners.get(address, "")
    told += f"; {owner} has it" if owner else "; nobody has it"
    found = [each for each in live.conflicts if each.gpu == address]
    why = tuple(Branch(f"{each.why}: `{each.command}`") for each in found)
    return Branch(told, why, "conflict" if found else "")
