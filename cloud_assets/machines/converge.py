"""Makes exactly what a plan says: networks and pools first, then all machines at once.

It may be killed at any moment; the next plan goes on from what is there. Where one machine fails,
what this run made for it is taken back, and the others go on.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from cloud_assets.machines import domain_xml
from cloud_assets.machines.applying import boot
from cloud_assets.machines.applying.machine import Making, remove, see_consoles
from cloud_assets.machines.applying.progress import Listener, Step, nobody
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.plan import Change, Plan
from resources.errors import AiHowError, PermanentError
from resources.libvirt import Connection, Reservation, networks, storage

#: Each waits for a guest most of the time.
_AT_ONCE = 16
_DELETING = ("remove", "replace")


@dataclass(frozen=True)
class Result:
    """What became of a change; `error` None where it was made."""

    change: Change
    seconds: float
    error: AiHowError | None = None


@dataclass(frozen=True)
class Patience:
    """How long a started machine may take to answer; None does not wait for it."""

    boot_seconds: float | None
    needs_ssh: bool = False


def converge(
    connection: Connection, plan: Plan, *, patience: Patience, told: Listener = nobody
) -> tuple[Result, ...]:
    """Make the changes of the plan that are not withheld, and say what became of each.

    Raises PermanentError where something of it is refused, and what networks and pools raise;
    what a machine raises is in its result.
    """
    _require_no_refusal(plan)
    pending = [each for each in plan.changes if each.applies]
    clusters = {each.name: each for each in plan.clusters}
    results = []
    for change in (each for each in pending if each.what == "network"):
        told(Step(change.name, "network"))
        results.append(_timed(change, partial(_network, connection, clusters, change)))
    for change in (each for each in pending if each.what == "pool"):
        told(Step(change.name, "pool"))
        results.append(_timed(change, partial(_pool, connection, clusters, change)))
    machines = [each for each in pending if each.what == "machine"]
    for name in sorted({each.cluster for each in machines if each.action in _DELETING}):
        see_consoles(connection, name)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="machine") as pool:
        make = partial(_machine, connection, plan, patience=patience, told=told)
        results += pool.map(make, machines)
    for change in (each for each in pending if each.what == "volume"):
        told(Step(change.name, "remove"))
        identity = domain_xml.pool_identity(change.cluster)
        delete = partial(storage.delete_volume, connection, identity, change.name)
        results.append(_timed(change, delete))
    return tuple(results)


def _require_no_refusal(plan: Plan) -> None:
    refused = [each for each in plan.changes if each.refused]
    if refused:
        raise PermanentError(
            "the host", f"have the {refused[0].what} {refused[0].name}", refused[0].why,
            hint=refused[0].withheld,
        )  # fmt: skip


def _timed(change: Change, make: Callable[[], object]) -> Result:
    began = time.monotonic()
    make()
    return Result(change, time.monotonic() - began)


def _network(connection: Connection, clusters: dict[str, Cluster], change: Change) -> None:
    cluster = clusters[change.cluster]
    document = domain_xml.network(cluster)
    if change.action == "replace":
        networks.undefine(connection, document.identity)
    if change.action == "update":
        for each in cluster.network.reservations:
            wanted = Reservation(each.mac, str(each.ip), each.name)
            networks.reserve(connection, document.identity, wanted)
    networks.define(connection, document.xml)
    networks.set_autostart(connection, document.identity, True)
    networks.start(connection, document.identity)


def _pool(connection: Connection, clusters: dict[str, Cluster], change: Change) -> None:
    storage.define_pool(connection, domain_xml.pool(clusters[change.cluster]).xml)


def _machine(
    connection: Connection, plan: Plan, change: Change, *, patience: Patience, told: Listener
) -> Result:
    began = time.monotonic()
    error = None
    try:
        if change.action == "remove":
            told(Step(change.name, "remove"))
            remove(connection, change.cluster, change.name)
        else:
            _make(connection, plan, change, patience, told)
        told(Step(change.name, "done"))
    except AiHowError as problem:
        told(Step(change.name, "failed", str(problem)))
        error = problem
    return Result(change, time.monotonic() - began, error)


def _make(
    connection: Connection, plan: Plan, change: Change, patience: Patience, told: Listener
) -> None:
    making = Making(connection, plan.blueprints[change.name], told)
    try:
        making.apply(change)
    except AiHowError:
        making.take_back()
        raise
    # Who is slow to boot is left as it is: its console says why.
    if change.starts and patience.boot_seconds and not connection.is_test_driver:
        boot.wait(
            connection, boot.Guest.of(making.drawn.machine),
            patience=patience.boot_seconds, needs_ssh=patience.needs_ssh, told=told,
        )  # fmt: skip


def require_success(results: Sequence[Result]) -> None:
    """Raises the error of the first that failed, with the names of the others."""
    failed = [each for each in results if each.error is not None]
    if not failed:
        return
    first = failed[0].error
    assert first is not None
    names = ", ".join(each.change.name for each in failed[1:])
    if not names:
        raise first
    raise PermanentError(
        "the host", f"have {failed[0].change.name}", str(first), hint=f"{names} failed, too"
    ) from first
