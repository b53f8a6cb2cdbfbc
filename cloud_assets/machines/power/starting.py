"""One cluster made what the file says, its nodes opened, its machines waited for."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cloud_assets.machines.applying import boot
from cloud_assets.machines.applying.outage import outlasting
from cloud_assets.machines.converge import Patience, Result, converge
from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.plan import Plan
from cloud_assets.machines.power.emptying import open_again
from cloud_assets.machines.power.execution import Ground, patience_after, running
from resources.libvirt import Connection, observation


def make(
    connection: Connection, cluster: Cluster, plan: Plan, ground: Ground
) -> tuple[Result, ...]:
    """What became of each change of the plan; nodes of what runs are open, if we closed them."""
    patience = Patience(ground.host.settings.boot_timeout_seconds)
    results = converge(connection, plan, patience=patience, told=ground.told)
    open_again(
        cluster, running(connection, cluster), ground.schedulers,
        patience=patience_after(results), told=ground.told,
    )  # fmt: skip
    return results


def await_ssh(connection: Connection, machines: Sequence[Machine], ground: Ground) -> None:
    """Of those that run; those left off are not waited for."""
    if connection.is_test_driver or not machines:
        return

    def answered(machine: Machine) -> None:
        domain = outlasting(lambda: observation.domain(connection, machine.name))
        if domain is not None and domain.is_active:
            boot.wait(
                connection, boot.Guest.of(machine), needs_ssh=True, told=ground.told,
                patience=ground.host.settings.boot_timeout_seconds,
            )  # fmt: skip

    with ThreadPoolExecutor(max_workers=len(machines)) as pool:
        list(pool.map(answered, machines))
