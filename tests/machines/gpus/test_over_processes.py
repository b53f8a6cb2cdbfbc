"""A killed switch, on libvirt's test driver in a daemon: the next one ends it or undoes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cloud_assets.machines.gpus.execution import SwitchFailed
from cloud_assets.machines.gpus.site import GpuSite
from resources.libvirt import Identity, domains, noted, observe
from tests.hypervisor.cell import Hypervisor
from tests.machines.gpus.interrupted import MOMENTS, switching
from tests.machines.gpus.on_rig import site_of
from tests.machines.gpus.site import FILE, GPU, SERVES, TRAINS, define, machine

pytestmark = [pytest.mark.hypervisor]


@pytest.fixture
def file(hypervisor: Hypervisor, tmp_path: Path) -> Path:
    given = yaml.safe_load(FILE.read_text("utf-8"))
    path = tmp_path / "cluster.yaml"
    platform = {"machines": {"uri": hypervisor.simulated_uri}}
    path.write_text(yaml.safe_dump({**given, "platform": platform}), "utf-8")
    return path


@pytest.fixture
def shared(file: Path) -> Iterator[GpuSite]:
    """One state for all processes, in which the machine that trains has the GPU."""
    site = site_of(file)
    with site.connection:
        for each in (TRAINS, SERVES):
            define(site.connection, machine(site.desired, each), start=each == TRAINS)
        yield site


def running(site: GpuSite) -> list[str]:
    """Those that are on; none may be noted as off for a switch that has ended."""
    found = [each for each in observe(site.connection).domains if each.name in (TRAINS, SERVES)]
    assert not any(map(noted, found))
    return [each.name for each in found if each.is_active]


def switch(site: GpuSite) -> None:
    site.carry_out(site.plan(GPU, SERVES), because="a test", say=lambda _: None)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_same_switch_again_ends_it(shared: GpuSite, file: Path, moment: str) -> None:
    with switching(file, GPU, moment) as process:
        process.kill()
    switch(shared)
    assert running(shared) == [SERVES]


@pytest.mark.parametrize("moment", MOMENTS[2:4])
def test_where_that_fails_the_former_owner_is_back(
    shared: GpuSite, file: Path, moment: str
) -> None:
    with switching(file, GPU, moment) as process:
        process.kill()
    plan = shared.plan(GPU, SERVES)
    wanted = machine(shared.desired, SERVES)
    shared.connection.handle().lookupByName(SERVES).undefine()
    with pytest.raises(SwitchFailed, match="the former owner is back"):
        shared.carry_out(plan, because="a test", say=lambda _: None)
    define(shared.connection, wanted)
    assert running(shared) == [TRAINS]


def test_a_machine_that_was_started_by_hand_is_owed_nothing(shared: GpuSite, file: Path) -> None:
    with switching(file, GPU, "start") as process:
        process.kill()
    trains = machine(shared.desired, TRAINS)
    assert [each.machine for each in shared.plan(GPU, SERVES).owed] == [TRAINS]
    domains.start(shared.connection, Identity(trains.name, trains.uuid))
    domains.destroy(shared.connection, Identity(trains.name, trains.uuid))
    assert shared.plan(GPU, SERVES).owed == ()
