"""`hpc` and `cloud`: a whole cluster of machines, started, stopped, looked at, taken down."""

import getpass
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path

from cloud_assets.cli import output
from cloud_assets.cli.commands.machines import vm
from cloud_assets.cli.commands.requests import require_success
from cloud_assets.machines.applying import boot, lifecycle, teardown
from cloud_assets.machines.converge import Patience, converge
from cloud_assets.machines.converge import require_success as require_all
from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Options, Plan
from cloud_assets.machines.planning.names import asset_names
from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_cluster_file, settings_path
from cloud_assets.stages import MACHINES_JOB
from resources.dagster.graphql import DagsterGraphQL
from resources.errors import TransientError, UsageError
from resources.libvirt import Connection, observation

REQUESTED_BY_TAG = "ai-how/requested-by"
COLUMNS = ("machine", "role", "state", "address", "start", "devices")


def start(kind: str, path: Path | None, *, options: Options, as_json: bool) -> None:
    """Validate, plan, make, wait for SSH; by a run of the graph where the platform is up."""
    settings, host, cluster = _read(kind, path)
    with host.connected() as connection:
        plan = host.plan(connection, options)
        pending = [each for each in plan.pending if each.cluster == cluster.name]
        for each in pending:
            output.note(f"{each}{f'; withheld: {each.withheld}' if each.withheld else ''}")
        if any(each.applies or each.refused for each in pending) and not (
            _is_in_force(path) and _by_a_run(settings, cluster, options)
        ):
            _here(connection, host, plan.of([each.name for each in pending]))
        _await_ssh(connection, host, cluster)
        if kind == "cloud":
            output.note("Kubernetes: skipped, the graph has no asset for it yet")
        _show(connection, cluster, as_json=as_json)


def stop(kind: str, path: Path | None, *, force: bool) -> None:
    """The workers at once, then the machine that leads them."""
    _, host, cluster = _read(kind, path)
    leader, *workers = cluster.machines
    with host.connected() as connection:
        there = {each.name for each in workers if observation.domain(connection, each.name)}
        patience = host.settings.shutdown_timeout_seconds
        end = partial(lifecycle.stop, connection, patience=patience, force=force, told=vm.told)
        _all_at_once(end, sorted(there))
        if observation.domain(connection, leader.name):
            end(leader.name)
    output.line(f"{cluster.name}: stopped")


def status(kind: str, path: Path | None, *, as_json: bool) -> None:
    """Each machine of the file as libvirt has it."""
    _, host, cluster = _read(kind, path)
    with host.connected() as connection:
        _show(connection, cluster, as_json=as_json)


def destroy(kind: str, path: Path | None, *, confirmed: Callable[[str], bool]) -> None:
    """All of it but the images. `confirmed` is asked with a sentence first."""
    settings, host, cluster = _read(kind, path)
    names = ", ".join(each.name for each in cluster.machines)
    if not confirmed(f"destroy {names}, their disks, network and pool?"):
        output.note("nothing was done")
        return
    moment = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    logs = settings.home / "logs" / f"{cluster.name}-destroyed-{moment}"
    with host.connected() as connection:
        gone = teardown.destroy(connection, cluster, logs=logs, told=vm.told)
    if logs.exists():
        output.note(f"consoles are kept in {logs}")
    output.line(f"{cluster.name}: {len(gone)} destroyed" if gone else f"{cluster.name}: not there")


def _read(kind: str, path: Path | None) -> tuple[Settings, Host, Cluster]:
    read = load_cluster_file(path)
    host = Host.of(read.platform.machines, read.clusters)
    found = next((each for each in host.desired.clusters if each.kind == kind), None)
    if found is None:
        raise UsageError(f"the file has no {kind} cluster", hint=f"describe it: `clusters.{kind}`")
    return read.platform, host, found


def _is_in_force(path: Path | None) -> bool:
    """Whether the graph has this file; another one is made from here."""
    known = settings_path()
    return path is None or (known is not None and path.absolute() == known.absolute())


def _by_a_run(settings: Settings, cluster: Cluster, options: Options) -> bool:
    """Whether a run has made it; False where there is no platform to run it."""
    graph = DagsterGraphQL(settings.dagster_url)
    tags = {REQUESTED_BY_TAG: getpass.getuser()}
    config = {"ops": {f"{cluster.kind}_machines": {"config": asdict(options)}}}
    try:
        assets = list(asset_names(cluster).values())
        run_id = graph.submit(MACHINES_JOB, assets=assets, config=config, tags=tags)
    except TransientError:
        output.note("the platform is down: no run keeps a record of this")
        return False
    output.note(f"{cluster.name}: run {run_id}")
    require_success(graph, run_id, f"make the machines of {cluster.name}")
    return True


def _here(connection: Connection, host: Host, plan: Plan) -> None:
    patience = Patience(host.settings.boot_timeout_seconds)
    require_all(converge(connection, plan, patience=patience, told=vm.told))


def _await_ssh(connection: Connection, host: Host, cluster: Cluster) -> None:
    """Of those that run; those left off are not waited for."""
    if connection.is_test_driver:
        return

    def answered(machine: Machine) -> None:
        found = observation.domain(connection, machine.name)
        if found is not None and found.is_active:
            boot.wait(
                connection, boot.Guest.of(machine), needs_ssh=True, told=vm.told,
                patience=host.settings.boot_timeout_seconds,
            )  # fmt: skip

    _all_at_once(answered, cluster.machines)


def _all_at_once(act: Callable[..., object], things: Sequence[object]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, len(things))) as pool:
        list(pool.map(act, things))


def _show(connection: Connection, cluster: Cluster, *, as_json: bool) -> None:
    rows = [_row(connection, each) for each in cluster.machines]
    output.records(COLUMNS, rows, as_json=as_json)


def _row(connection: Connection, machine: Machine) -> dict[str, object]:
    found = observation.domain(connection, machine.name)
    there = vm.row(connection, found) if found else {"machine": machine.name, "state": "absent"}
    start = "with the cluster" if machine.auto_start else "by hand"
    return {**there, "role": machine.role, "start": start, "auto_start": machine.auto_start}
