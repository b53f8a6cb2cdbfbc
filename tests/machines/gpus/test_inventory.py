"""GPUs of the host with owners and wishes, and what stands in a machine's way, with its mending."""

from dataclasses import replace

import pytest

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.gpus.conflicts import Conflict, conflicts, in_the_way
from cloud_assets.machines.gpus.inventory import Gpu, inventory
from cloud_assets.machines.gpus.site import GpuSite
from resources.host.holders import Process
from resources.libvirt import Identity, Observation, domains, observe
from tests.machines.gpus.site import (
    ALONE,
    AUDIO,
    GPU,
    SERVES,
    TRAINS,
    define,
    document,
    machine,
)

STRANGER = "5f0c9a4e-0000-4000-8000-000000000001"


def gpu(site: GpuSite, address: str = GPU) -> Gpu:
    return next(each for each in site.look()[1] if each.address == address)


def found(site: GpuSite) -> tuple[Conflict, ...]:
    return conflicts(site.look()[1], site.desired)


def starting(desired: Desired, *names: str) -> Desired:
    """The same with these machines, and no others, to be started with their clusters."""
    return Desired(
        tuple(
            replace(
                cluster,
                machines=tuple(
                    replace(each, auto_start=each.name in names) for each in cluster.machines
                ),
            )
            for cluster in desired.clusters
        )
    )


def test_all_gpus_of_the_host_are_told_and_nothing_else(site: GpuSite) -> None:
    assert [each.address for each in site.look()[1]] == [GPU, ALONE]


def test_a_gpu_has_its_name_its_group_and_what_it_can_be_cut_into(site: GpuSite) -> None:
    seen = gpu(site)
    assert seen.name == "NVIDIA Corporation GA102 [GeForce RTX 3090]"
    assert (seen.group, seen.siblings) == (1, (AUDIO,))
    assert [each.name for each in seen.slices] == ["nvidia-35"]


def test_a_gpu_of_machines_that_are_off_is_nobodys_and_wanted_by_both(site: GpuSite) -> None:
    seen = gpu(site)
    assert seen.owner is None
    assert [(each.name, each.cluster) for each in seen.wanted_by] == [
        (TRAINS, "hpc"), (SERVES, "cloud")
    ]  # fmt: skip


def test_the_owner_is_who_runs_with_it(site: GpuSite) -> None:
    domains.start(site.connection, _identity(site, TRAINS))
    owner = gpu(site).owner
    assert owner is not None
    assert (owner.name, owner.cluster, owner.kind) == (TRAINS, "hpc", "hpc")


def test_sharing_a_gpu_is_no_conflict(site: GpuSite) -> None:
    assert found(site) == ()
    domains.start(site.connection, _identity(site, TRAINS))
    assert found(site) == ()


def test_a_machine_that_is_to_run_and_cannot_is_one(site: GpuSite) -> None:
    domains.start(site.connection, _identity(site, SERVES))
    (one,) = found(site)
    assert (one.kind, one.machine, one.clusters) == ("taken", TRAINS, ("cloud", "hpc"))
    assert one.why == (
        f"GPU {GPU} is currently allocated to `{SERVES}` of cluster `cloud`. "
        f"Stop `{SERVES}` before starting `{TRAINS}` of cluster `hpc`"
    )
    assert one.command == f"ai-how gpu switch {GPU} --to {TRAINS}"


def test_what_is_in_the_way_of_a_machine_started_by_hand_is_told_too(site: GpuSite) -> None:
    domains.start(site.connection, _identity(site, TRAINS))
    (one,) = in_the_way(gpu(site), machine(site.desired, SERVES))
    assert f"GPU {GPU} is currently allocated to `{TRAINS}` of cluster `hpc`" in one.why
    assert one.command == f"ai-how gpu switch {GPU} --to {SERVES}"


def test_a_domain_of_somebody_else_is_stopped_by_hand(site: GpuSite) -> None:
    domains.define(site.connection, document("game", STRANGER, (GPU, AUDIO)))
    site.connection.handle().lookupByName("game").create()
    (one,) = found(site)
    assert (one.clusters, one.command) == (("hpc",), "virsh shutdown game")


def test_a_domain_of_the_same_name_that_is_not_ours_is_somebody_elses(site: GpuSite) -> None:
    site.connection.handle().lookupByName(TRAINS).undefine()
    define(site.connection, replace(machine(site.desired, TRAINS), uuid=STRANGER), start=True)
    owner = gpu(site).owner
    assert owner is not None
    assert owner.cluster == ""


def test_two_machines_that_start_with_their_clusters_are_rivals(site: GpuSite) -> None:
    both = starting(site.desired, TRAINS, SERVES)
    seen = inventory(both, observe(site.connection), {})
    (one,) = conflicts(seen, both)
    assert (one.kind, one.clusters) == ("rivals", ("hpc", "cloud"))


def test_a_group_is_not_torn(site: GpuSite) -> None:
    whole = machine(site.desired, TRAINS)
    (one,) = in_the_way(gpu(site), replace(whole, hostdevs=(GPU,)))
    assert one.kind == "torn"
    assert AUDIO in one.why


def test_a_gpu_that_the_host_works_with_is_not_taken_from_it(site: GpuSite) -> None:
    users = {GPU: [Process(42, "python", ("/dev/nvidia0",))]}
    seen = inventory(site.desired, observe(site.connection), users)
    busy = [each for each in conflicts(seen, site.desired) if each.gpu == GPU]
    assert {each.kind for each in busy} == {"busy"}
    assert busy[0].command == "kill 42"
    assert "currently allocated to the host: its processes 42 (python)" in busy[0].why


def test_a_gpu_that_another_emulator_has_is_not_free(site: GpuSite) -> None:
    users = {GPU: [Process(42, "qemu-system-x86", ("/dev/vfio/14",), "win11")]}
    seen = inventory(site.desired, observe(site.connection), users)
    bound = [replace(each, driver="vfio-pci") for each in seen]
    busy = [each for each in conflicts(bound, site.desired) if each.gpu == GPU]
    assert {each.kind for each in busy} == {"busy"}
    assert "knows nothing of them, so that no machine starts with it" in busy[0].why


def test_a_gpu_that_the_host_has_not_is_told(site: GpuSite) -> None:
    seen = observe(site.connection)
    others = tuple(each for each in seen.devices if each.address != GPU)
    gpus = inventory(site.desired, replace(seen, devices=others), {})
    assert {each.kind for each in conflicts(gpus, site.desired)} == {"absent"}


def test_a_hypervisor_that_lists_no_devices_makes_no_conflicts(site: GpuSite) -> None:
    gpus = inventory(site.desired, Observation(), {})
    assert [each.address for each in gpus] == [GPU]
    assert conflicts(gpus, site.desired) == ()


def _identity(site: GpuSite, name: str) -> Identity:
    wanted = machine(site.desired, name)
    return Identity(wanted.name, wanted.uuid)


@pytest.mark.parametrize("name", [TRAINS, SERVES])
def test_a_machine_that_has_its_gpu_has_nothing_in_its_way(site: GpuSite, name: str) -> None:
    domains.start(site.connection, _identity(site, name))
    assert list(in_the_way(gpu(site), machine(site.desired, name))) == []
