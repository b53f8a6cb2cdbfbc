"""A switch in a world where any call may fail: the former owner is always back, and it is told."""

import pytest

from cloud_assets.machines.gpus.adapters import LibvirtMachines
from cloud_assets.machines.gpus.execution import SwitchFailed, execute
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.machines.gpus.switch import Node, Switch, planned
from resources.errors import DeadlineExceeded
from resources.libvirt import Identity, domains, holder
from tests.machines.gpus.site import AUDIO, GPU, SERVES, TRAINS, machine
from tests.machines.gpus.world import World, refusal

NODES = {TRAINS: Node("node-01"), SERVES: Node("gpu-worker-01")}
DEVICES = {TRAINS: (GPU, AUDIO), SERVES: (GPU, AUDIO)}


def switch(site: GpuSite, to: str = SERVES, *, given: str | None = TRAINS) -> Switch:
    """Planned from a world in which `given` has the GPU."""
    if given is not None:
        wanted = machine(site.desired, given)
        domains.start(site.connection, Identity(wanted.name, wanted.uuid))
    seen, gpus = site.look()
    return planned(GPU, to, desired=site.desired, gpus=gpus, seen=seen, nodes=NODES)


def run(plan: Switch, world: World) -> list[str]:
    said: list[str] = []
    records = execute(plan, world.ports(), because="a test", say=said.append)
    assert said
    return [f"{each.action} {each.machine} {each.outcome}" for each in records]


def test_the_gpu_goes_over_step_by_step(site: GpuSite) -> None:
    world = World(DEVICES, {TRAINS}, closed={"gpu-worker-01"})
    assert run(switch(site), world) == [
        f"drain {TRAINS} done",
        f"stop {TRAINS} done",
        f"release {TRAINS} done",
        f"start {SERVES} done",
        f"ready {SERVES} done",
    ]
    assert (world.active, world.closed, world.noted) == ({SERVES}, {"node-01"}, {})


def test_a_gpu_that_nobody_has_is_just_taken(site: GpuSite) -> None:
    world = World(DEVICES, set())
    assert run(switch(site, given=None), world) == [f"start {SERVES} done", f"ready {SERVES} done"]


def test_there_and_back_again_leaves_both_nodes_as_they_were(site: GpuSite) -> None:
    world = World(DEVICES, {TRAINS})
    run(switch(site), world)
    site.connection.handle().lookupByName(TRAINS).destroy()
    run(switch(site, TRAINS, given=SERVES), world)
    assert (world.active, world.closed) == ({TRAINS}, {"gpu-worker-01"})


#: Calls of a whole switch, after which it is over; with the two devices that are looked at.
CALLS = 10


def test_a_switch_has_so_many_calls(site: GpuSite) -> None:
    world = World(DEVICES, {TRAINS})
    run(switch(site), world)
    assert len(world.calls) == CALLS, world.calls


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_whatever_fails_the_former_owner_is_back(site: GpuSite, number: int, halfway: bool) -> None:
    world = World(DEVICES, {TRAINS}, fails={number: refusal()}, halfway=halfway)
    with pytest.raises(SwitchFailed, match="the former owner is back") as failed:
        run(switch(site), world)
    assert world.active == {TRAINS}
    assert world.holder(GPU) == TRAINS
    assert "node-01" not in world.closed
    assert [each.outcome for each in failed.value.records].count("failed") == 1
    assert str(failed.value.hint).startswith("mend it")


@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_an_interrupt_puts_the_former_owner_back_and_goes_on(site: GpuSite, number: int) -> None:
    world = World(DEVICES, {TRAINS}, fails={number: KeyboardInterrupt()}, halfway=True)
    with pytest.raises(KeyboardInterrupt):
        run(switch(site), world)
    assert (world.active, world.closed - {"gpu-worker-01"}) == ({TRAINS}, set())


@pytest.mark.parametrize("second", range(1, 5))
def test_what_cannot_be_put_back_is_told_and_the_rest_is(site: GpuSite, second: int) -> None:
    world = World(DEVICES, {TRAINS}, fails={CALLS: refusal(), CALLS + second: refusal("worse")})
    with pytest.raises(SwitchFailed, match=r"not all was put back: .*worse") as failed:
        run(switch(site), world)
    assert failed.value.hint is not None
    assert f"--to {TRAINS}" in failed.value.hint


def test_a_gpu_that_is_not_let_go_goes_nowhere(site: GpuSite) -> None:
    """As a domain of somebody else that was faster."""
    world = World({**DEVICES, "another": (AUDIO,)}, {TRAINS, "another"})
    with pytest.raises(SwitchFailed, match=r"still held after 0 s.*not all was put back"):
        run(switch(site), world)
    assert SERVES not in world.active
    assert "node-01" not in world.closed


def killed(site: GpuSite, *, started: bool = False) -> Switch:
    """The plan after a kill behind the stop of the former owner, or behind the taker's start."""
    former = machine(site.desired, TRAINS)
    words = {"gpu": GPU, "to": SERVES}
    domains.note(site.connection, Identity(former.name, former.uuid), words)
    return switch(site, given=SERVES if started else None)


@pytest.mark.parametrize("started", [False, True])
def test_the_same_switch_again_goes_on_after_a_kill(site: GpuSite, started: bool) -> None:
    """The former owner is off, its node closed."""
    active = {SERVES} if started else set()
    world = World(DEVICES, active, closed={"node-01"}, noted={TRAINS: SERVES})
    done = run(killed(site, started=started), world)
    assert done == [f"start {SERVES} done", f"ready {SERVES} done"]
    assert (world.active, world.closed, world.noted) == ({SERVES}, {"node-01"}, {})


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_failure_after_a_kill_puts_the_former_owner_back_too(
    site: GpuSite, number: int, started: bool
) -> None:
    active = {SERVES} if started else set()
    world = World(DEVICES, active, {"node-01"}, {number: refusal()}, noted={TRAINS: SERVES})
    with pytest.raises(SwitchFailed, match="the former owner is back"):
        run(killed(site, started=started), world)
    assert (world.active, world.closed, world.noted) == ({TRAINS}, set(), {})


def test_a_node_that_a_killed_switch_has_not_opened_is_opened(site: GpuSite) -> None:
    wanted = machine(site.desired, SERVES)
    domains.start(site.connection, Identity(wanted.name, wanted.uuid))
    seen, gpus = site.look()
    closed = {SERVES: Node("gpu-worker-01", is_ready=False)}
    plan = planned(GPU, SERVES, desired=site.desired, gpus=gpus, seen=seen, nodes=closed)
    world = World(DEVICES, {SERVES}, closed={"gpu-worker-01"})
    assert run(plan, world) == [f"ready {SERVES} done"]
    assert world.closed == set()


def test_work_that_does_not_leave_is_told_with_what_a_person_may_do(site: GpuSite) -> None:
    late = DeadlineExceeded("Slurm", "drain node-01", "it runs job 5", hint="cancel it")
    world = World(DEVICES, {TRAINS}, fails={1: late})
    with pytest.raises(SwitchFailed, match="it runs job 5; the former owner is back") as failed:
        run(switch(site), world)
    assert failed.value.hint == (
        "cancel it; `--drain-seconds` waits longer, `--force` goes on though work is lost"
    )


def test_by_force_it_goes_over_though_work_is_left(site: GpuSite) -> None:
    late = DeadlineExceeded("Slurm", "drain node-01", "it runs job 5", hint="cancel it")
    world = World(DEVICES, {TRAINS}, fails={1: late})
    records = execute(switch(site), world.ports(), because="a test", say=lambda _: None, force=True)
    assert [each.outcome for each in records] == ["forced", "done", "done", "done", "done"]
    assert "it runs job 5" in records[0].text
    assert world.active == {SERVES}


def test_what_a_switch_shut_down_is_noted_there_until_it_starts(site: GpuSite) -> None:
    former = machine(site.desired, TRAINS)
    ports = LibvirtMachines(site.connection, site.desired, 1.0)
    ports.note(TRAINS, GPU, SERVES)
    assert [each.machine for each in site.plan(GPU, SERVES).owed] == [TRAINS]
    domains.start(site.connection, Identity(former.name, former.uuid))
    ports.stop(TRAINS, lambda _: None)
    assert site.plan(GPU, SERVES).owed == ()
    ports.note(TRAINS, GPU, SERVES)
    ports.forget(TRAINS)
    assert site.plan(GPU, SERVES).owed == ()


def test_on_libvirt_itself_the_gpu_goes_over(site: GpuSite) -> None:
    wanted = machine(site.desired, TRAINS)
    domains.start(site.connection, Identity(wanted.name, wanted.uuid))
    said: list[str] = []
    records = site.carry_out(site.plan(GPU, SERVES), because="a test", say=said.append)
    found = holder(site.connection, GPU)
    assert found is not None
    assert found.name == SERVES
    assert [each.outcome for each in records] == ["skipped", "done", "done", "done", "skipped"]
    assert any("no Slurm is known" in each for each in said)
    assert site.plan(GPU, SERVES).steps == ()


def test_on_libvirt_itself_a_start_that_fails_brings_the_former_owner_back(site: GpuSite) -> None:
    wanted = machine(site.desired, TRAINS)
    domains.start(site.connection, Identity(wanted.name, wanted.uuid))
    plan = site.plan(GPU, SERVES)
    site.connection.handle().lookupByName(SERVES).undefine()
    with pytest.raises(SwitchFailed, match="the former owner is back"):
        site.carry_out(plan, because="a test", say=lambda _: None)
    found = holder(site.connection, GPU)
    assert found is not None
    assert found.name == TRAINS
