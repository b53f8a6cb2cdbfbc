"""`gpu switch` where libvirt keeps a GPU for one: handed over and back, killed at each step."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_assets.machines.gpus.execution import SwitchFailed
from cloud_assets.machines.gpus.site import GpuSite
from resources.libvirt import Identity, State, domains, noted, observation, watching
from tests.hypervisor.vfio.rig import AUDIO, GPU, OTHER_GPU, Rig
from tests.machines.gpus import on_rig
from tests.machines.gpus.interrupted import MOMENTS, switching, to_its_end
from tests.machines.gpus.site import SERVES, TRAINS, machine
from tests.testbed import pins

pytestmark = [pytest.mark.hypervisor, pytest.mark.vfio]

#: libvirt's reasons to be off.
SHUT_DOWN, CUT_OFF, CRASHED = 1, 2, 3


@dataclass
class World:
    """The rig with both machines defined, and the file that names them."""

    rig: Rig
    site: GpuSite
    file: Path
    said: list[str] = field(default_factory=list)

    def start(self, name: str) -> None:
        domains.start(self.site.connection, self.identity(name))

    def identity(self, name: str) -> Identity:
        wanted = machine(self.site.desired, name)
        return Identity(wanted.name, wanted.uuid)

    def switch(self, to: str) -> list[str]:
        records = self.site.carry_out(
            self.site.plan(GPU, to), because="a test", say=self.said.append
        )
        return [each.outcome for each in records]

    def state(self, name: str) -> tuple[State, int]:
        found = observation.domain(self.site.connection, name)
        assert found is not None
        return found.state, found.reason

    @property
    def running(self) -> list[str]:
        return [each for each in (TRAINS, SERVES) if self.state(each)[0] is State.RUNNING]

    def has(self, name: str) -> bool:
        """Whether it alone runs, with the GPU and its audio, and no switch is left unfinished."""
        found = [observation.domain(self.site.connection, each) for each in (TRAINS, SERVES)]
        owners = {self.site.look()[1][0].owner}
        names = {each.name for each in owners if each is not None}
        return (
            names == {name} and self.running == [name] and not any(map(noted, filter(None, found)))
        )

    def ai_how(self, *words: str) -> tuple[int, str, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "cloud_assets.cli.main", *words], cwd=self.file.parent,
            env={**os.environ, "PYTHONPATH": str(pins.REPOSITORY),
                 "AI_HOW_CLUSTER": str(self.file), "COLUMNS": "400"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def world(vfio: Rig, tmp_path: Path) -> Iterator[World]:
    file = on_rig.written(tmp_path, vfio)
    site = on_rig.site_of(file)
    with site.connection, on_rig.defined(vfio, site):
        yield World(vfio, site, file)


def test_a_second_start_is_refused_with_who_has_it_and_what_hands_it_over(world: World) -> None:
    world.start(TRAINS)
    code, printed, said = world.ai_how("vm", "start", SERVES)
    assert (code, printed) == (1, "")
    assert f"GPU {GPU} is currently allocated to `{TRAINS}` of cluster `hpc`" in said
    assert f"`ai-how gpu switch {GPU} --to {SERVES}` hands it over" in said
    assert f"`ai-how vm stop {TRAINS}` frees it" in said
    assert world.has(TRAINS)


def test_the_command_tells_owner_group_and_conflicts(world: World) -> None:
    world.start(SERVES)
    gpus = {each["address"]: each for each in json.loads(world.ai_how("gpu", "list", "--json")[1])}
    assert list(gpus) == [GPU, OTHER_GPU]
    seen = gpus[GPU]
    assert (seen["owner"]["name"], seen["driver"], seen["siblings"]) == (
        SERVES,
        "vfio-pci",
        [AUDIO],
    )
    owner = world.ai_how("gpu", "owner", GPU, "--json")[1]
    assert json.loads(owner) == [{"gpu": GPU, "owner": SERVES, "cluster": "cloud"}]
    code, printed, _ = world.ai_how("gpu", "conflicts")
    assert code == 3
    assert f"ai-how gpu switch {GPU} --to {TRAINS}" in printed


def test_it_goes_over_and_back_and_guests_hear_their_power_button(world: World) -> None:
    world.start(TRAINS)
    assert world.switch(SERVES) == ["skipped", "done", "done", "done", "skipped"]
    assert world.has(SERVES)
    assert world.state(TRAINS) == (State.OFF, SHUT_DOWN)
    assert world.site.plan(GPU, SERVES).steps == ()
    world.switch(TRAINS)
    assert world.has(TRAINS)
    assert world.state(SERVES) == (State.OFF, SHUT_DOWN)


def test_a_guest_that_does_not_hear_is_cut_off_after_its_time(world: World) -> None:
    trains = machine(world.site.desired, TRAINS)
    domains.define(world.site.connection, on_rig.document(trains, hears=False))
    host = world.site.settings.machines.model_copy(update={"shutdown_timeout_seconds": 3})
    site = GpuSite(world.site.settings.model_copy(update={"machines": host}), world.site.desired)
    world.start(TRAINS)
    with site.connection:
        site.carry_out(site.plan(GPU, SERVES), because="a test", say=world.said.append)
    assert world.has(SERVES)
    assert world.state(TRAINS) == (State.OFF, CUT_OFF)
    assert f"{TRAINS} does not shut down within 3 s, so it is cut off" in world.said


def test_where_the_other_cannot_start_the_former_owner_is_back(world: World) -> None:
    world.start(TRAINS)
    on_rig.without_image(world.rig, SERVES)
    with pytest.raises(SwitchFailed, match=f"{SERVES}.img.*; the former owner is back"):
        world.switch(SERVES)
    assert world.has(TRAINS)


def test_a_killed_guest_frees_its_gpu_without_a_repair(world: World) -> None:
    world.start(TRAINS)
    with watching(world.site.connection) as watch:
        world.rig.kill_emulator(TRAINS)
        watch.wait(TRAINS, "stopped", timeout_seconds=60)
    assert world.state(TRAINS) == (State.OFF, CRASHED)
    assert world.ai_how("vm", "start", SERVES, "--no-wait")[0] == 0
    assert world.has(SERVES)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_the_same_switch_again_ends_it(world: World, moment: str) -> None:
    world.start(TRAINS)
    with switching(world.file, GPU, moment) as process:
        process.kill()
    assert len(world.running) <= 1
    world.switch(SERVES)
    assert world.has(SERVES)


@pytest.mark.parametrize("moment", MOMENTS[2:])
def test_killed_and_then_failing_the_former_owner_is_back(world: World, moment: str) -> None:
    """A switch that was killed cannot put anything back; the next one does it for it."""
    world.start(TRAINS)
    with switching(world.file, GPU, moment) as process:
        process.kill()
    if moment == MOMENTS[-1]:
        domains.destroy(world.site.connection, world.identity(SERVES))
    on_rig.without_image(world.rig, SERVES)
    with pytest.raises(SwitchFailed, match="the former owner is back"):
        world.switch(SERVES)
    assert world.has(TRAINS)


@pytest.mark.parametrize(
    ("moment", "signal"), [("shut down", "KILL"), ("wait until", "TERM"), ("start", "KILL")]
)
def test_a_restart_of_libvirtd_in_between_is_waited_for(
    world: World, moment: str, signal: str
) -> None:
    world.start(TRAINS)
    with switching(world.file, GPU, moment) as process:
        world.rig.end_daemon(signal)
        assert to_its_end(process) == 0
    assert world.has(SERVES)
