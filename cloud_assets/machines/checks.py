"""What is asked of each machine after it was made, or at any time alone."""

import dagster as dg

from cloud_assets.machines.applying import boot
from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.host import Host
from cloud_assets.machines.planning.names import asset_names
from resources.errors import ExternalError
from resources.libvirt import Connection, observation

_SIMULATED = "libvirt's test driver runs no guests"


def build_checks(desired: Desired) -> list[dg.AssetChecksDefinition]:
    """Two a machine; none without clusters."""
    return [
        check
        for cluster in desired.clusters
        for machine in cluster.machines
        for check in (
            _running(machine, asset_names(cluster)[machine.name]),
            _answering(machine, asset_names(cluster)[machine.name]),
        )
    ]


def _running(machine: Machine, asset: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="running_as_desired",
        blocking=True,
        description="It runs where it is to run, and as the file says. Warns where it runs, but "
        "as it was before.",
    )
    def running_as_desired(host: dg.ResourceParam[Host]) -> dg.AssetCheckResult:
        try:
            return _as_desired(host, machine)
        except ExternalError as error:
            return _failed(error)

    return running_as_desired


def _answering(machine: Machine, asset: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="address_answers",
        blocking=True,
        description="Its guest agent or its SSH server answers, unless it is left off.",
    )
    def address_answers(host: dg.ResourceParam[Host]) -> dg.AssetCheckResult:
        try:
            with host.connected() as connection:
                return _answers(connection, machine)
        except ExternalError as error:
            return _failed(error)

    return address_answers


def _as_desired(host: Host, machine: Machine) -> dg.AssetCheckResult:
    with host.connected() as connection:
        pending = host.plan(connection).of([machine.name]).pending
        found = observation.domain(connection, machine.name)
    state = str(found.state) if found else "not there"
    stands = found is not None and (found.is_active or not machine.auto_start)
    return dg.AssetCheckResult(
        passed=stands and not pending,
        severity=dg.AssetCheckSeverity.WARN if stands else dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{each}: {each.withheld or 'to be applied'}" for each in pending)
        or None,
        metadata={"state": state},
    )


def _answers(connection: Connection, machine: Machine) -> dg.AssetCheckResult:
    found = observation.domain(connection, machine.name)
    if found is None or not found.is_active:
        return dg.AssetCheckResult(passed=not machine.auto_start, description="it is off")
    if connection.is_test_driver:
        return dg.AssetCheckResult(passed=True, description=_SIMULATED)
    ready = boot.readiness(connection, boot.Guest.of(machine))
    return dg.AssetCheckResult(
        passed=ready.answers,
        description=None if ready.answers else "neither its agent nor its SSH server answers",
        metadata={"address": ready.address, "agent": ready.agent, "ssh": ready.ssh},
    )


def _failed(error: ExternalError) -> dg.AssetCheckResult:
    fix = {"fix": error.hint} if error.hint else {}
    return dg.AssetCheckResult(passed=False, description=str(error), metadata=fix)
