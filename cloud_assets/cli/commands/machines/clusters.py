"""`hpc` and `cloud`: a whole cluster of machines, started, stopped, looked at, taken down."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.commands.machines import shown
from cloud_assets.cli.commands.machines.recorded import Asked, power
from cloud_assets.machines.applying.outage import outlasting
from cloud_assets.machines.converge import require_success
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Change, Options, Plan
from cloud_assets.machines.planning.names import asset_names
from cloud_assets.machines.power.execution import Ground
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.machines.power.starting import await_ssh, make
from cloud_assets.settings.document import ClusterFile
from cloud_assets.stages import MACHINES_JOB
from resources.errors import UsageError
from resources.libvirt import Connection


@dataclass(frozen=True)
class Target:
    """One cluster of a file, on its host, and what a person asked of it."""

    asked: Asked
    read: ClusterFile
    host: Host
    cluster: Cluster

    @property
    def ground(self) -> Ground:
        """Where it is done without a platform; the person is told."""
        settings = self.read.platform
        return Ground(self.host, Schedulers(settings), settings.home / "logs", told=self.asked.told)


def targets(asked: Asked) -> tuple[Target, ...]:
    """The clusters of the file, that of HPC first."""
    read = asked.read()
    host = Host.of(read.platform.machines, read.clusters)
    return tuple(Target(asked, read, host, each) for each in host.desired.clusters)


def target(kind: str, path: Path | None, reason: str = "") -> Target:
    """That cluster of the file. Raises UsageError where it has none."""
    found = [each for each in targets(Asked(path, reason)) if each.cluster.kind == kind]
    if not found:
        raise UsageError(f"the file has no {kind} cluster", hint=f"describe it: `clusters.{kind}`")
    return found[0]


def start(
    kind: str, path: Path | None, *, options: Options, preflight: bool, reason: str, as_json: bool
) -> None:
    """Validate, plan, look at the host, make, wait for SSH; by a run where the platform is up."""
    found = target(kind, path, reason)
    with found.host.connected() as connection:
        _bring_up(connection, found, options, preflight=preflight)
        # All is read before a word is printed, so it may be read twice.
        outlasting(
            lambda: shown.show(connection, found.cluster, found.read.platform, as_json=as_json)
        )


def _bring_up(connection: Connection, found: Target, options: Options, *, preflight: bool) -> None:
    """All but the table. Raises what keeps a machine from being made or from answering."""
    plan = found.host.plan(connection, options)
    pending = told_pending(found, plan)
    if preflight:
        from cloud_assets.cli.commands.machines.preflight import require

        require(found.read, pending)
    if is_to_be_done(pending) and not _by_a_run(found, options):
        mine = plan.of([each.name for each in pending])
        require_success(make(connection, found.cluster, mine, found.ground))
    await_ssh(connection, found.cluster.machines, found.ground)
    tell_nodes(found)


def told_pending(found: Target, plan: Plan) -> list[Change]:
    """What is not as it should be of a cluster, which the person is told."""
    pending = [each for each in plan.pending if each.cluster == found.cluster.name]
    for each in pending:
        output.note(f"{each}{f'; withheld: {each.withheld}' if each.withheld else ''}")
    return pending


def is_to_be_done(pending: Sequence[Change]) -> bool:
    """Whether anything is not left to a person."""
    return any(each.applies or each.refused for each in pending)


def tell_nodes(found: Target) -> None:
    """That nobody knows of the cloud's nodes, where the settings name no Kubernetes."""
    if found.cluster.kind == "cloud":
        nodes = shown.look(found.cluster, found.read.platform)
        if not nodes.is_named:
            output.note(str(nodes))


def stop(kind: str, path: Path | None, request: Request, *, reason: str, as_json: bool) -> None:
    """Its nodes emptied, the workers at once, then the machine that leads them."""
    found = target(kind, path, reason)
    done = power(found.asked, found.read, request)
    if as_json:
        output.json_document({"cluster": found.cluster.name, "done": "stopped", **done})
    else:
        output.line(f"{found.cluster.name}: {stopped(done)}")


def stopped(done: Mapping[str, Any]) -> str:
    """What became of a stop, in a word or two."""
    left = len(done["left"])
    return f"stopped, {left} pods were left" if left else "stopped"


def status(kind: str, path: Path | None, *, as_json: bool) -> None:
    """Each machine of the file as libvirt has it."""
    found = target(kind, path)
    with found.host.connected() as connection:
        shown.show(connection, found.cluster, found.read.platform, as_json=as_json)


def destroy(
    kind: str, path: Path | None, *, confirmed: Callable[[str], bool], reason: str, as_json: bool
) -> None:
    """All of it but the images. `confirmed` is asked with a sentence first."""
    found = target(kind, path, reason)
    if not confirmed(question([found])):
        output.note("nothing was done")
        return
    done = take_down(found)
    if as_json:
        output.json_document({"cluster": found.cluster.name, "done": "destroyed", **done})
    else:
        output.line(destroyed(found, done))


def question(found: "list[Target]") -> str:
    """What is asked before anything is lost."""
    names = ", ".join(one.name for each in found for one in each.cluster.machines)
    return f"destroy {names}, their disks, network and pool?"


def take_down(found: Target) -> Mapping[str, Any]:
    """A cluster destroyed; what became of it."""
    return power(found.asked, found.read, Request(Action.destroy, cluster=found.cluster.kind))


def destroyed(found: Target, done: Mapping[str, Any]) -> str:
    """What became of it, in a line."""
    number = len(done["machines"])
    return f"{found.cluster.name}: {f'{number} destroyed' if number else 'not there'}"


def _by_a_run(found: Target, options: Options) -> bool:
    """Whether a run has made it; False where there is no platform to run it."""
    cluster = found.cluster
    config = {"ops": {f"{cluster.kind}_machines": {"config": asdict(options)}}}
    ended = found.asked.by_a_run(
        found.read.platform, MACHINES_JOB, config,
        action=f"make the machines of {cluster.name}", assets=[*asset_names(cluster).values()],
    )  # fmt: skip
    return ended is not None
