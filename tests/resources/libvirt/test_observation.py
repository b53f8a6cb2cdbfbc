"""What is seen: domains, networks, pools, PCI devices, and who holds which."""

from dataclasses import replace

import pytest

from resources.errors import ExternalError
from resources.libvirt import Connection, State, domains, holder, observation, observe, pci_devices
from tests.hypervisor.documents import Guest

GPU, AUDIO, ALONE = "0000:01:00.0", "0000:01:00.1", "0000:41:00.0"
WITH_GPU = Guest("one", host_devices=(GPU, AUDIO), network=None)


def test_the_test_driver_has_one_of_each(simulated: Connection) -> None:
    found = observe(simulated)
    one = found.domain("test")
    assert one is not None
    assert (one.state, one.is_active, one.is_persistent) == (State.RUNNING, True, True)
    assert [each.identity.name for each in found.networks] == ["default"]
    assert [each.identity.name for each in found.pools] == ["default-pool"]


def test_what_belongs_to_others_has_no_mark(simulated: Connection) -> None:
    domains.define(simulated, Guest("one").xml())
    marks = {each.name: each.live.mark for each in observe(simulated).domains}
    assert marks == {"one": {"cluster": "tests"}, "test": None}


def test_a_name_that_is_not_there_is_none(simulated: Connection) -> None:
    found = observe(simulated)
    assert (found.domain("x"), found.network("x"), found.pool("x")) == (None, None, None)
    assert observation.domain(simulated, "x") is None


def test_an_observation_looks_the_same_when_nothing_happened(simulated: Connection) -> None:
    assert observe(simulated) == observe(simulated)


def test_gpus_are_told_from_the_rest_of_their_group(with_gpus: Connection) -> None:
    found = {each.address: each for each in pci_devices(with_gpus)}
    assert [address for address, each in found.items() if each.is_display] == [GPU, ALONE]
    members = found[GPU].iommu_members
    assert members == ("0000:00:01.0", GPU, AUDIO)
    assert [each for each in members if not found[each].is_bridge] == [GPU, AUDIO]


def test_a_gpu_has_its_names_and_what_it_can_be_cut_into(with_gpus: Connection) -> None:
    gpu = next(each for each in pci_devices(with_gpus) if each.address == GPU)
    assert (gpu.vendor_id, gpu.vendor) == ("0x10de", "NVIDIA Corporation")
    assert (gpu.product_id, gpu.product) == ("0x2204", "GA102 [GeForce RTX 3090]")
    assert [(each.name, each.available) for each in gpu.mediated_types] == [("nvidia-35", 16)]


def test_a_machine_without_an_iommu_has_no_groups(with_gpus: Connection) -> None:
    alone = next(each for each in pci_devices(with_gpus) if each.address == ALONE)
    assert (alone.iommu_group, alone.iommu_members) == (None, ())


def test_the_holder_of_a_gpu_is_the_domain_that_runs_with_it(with_gpus: Connection) -> None:
    domains.define(with_gpus, WITH_GPU.xml())
    domains.define(with_gpus, replace(WITH_GPU, name="two").xml())
    assert holder(with_gpus, GPU) is None
    domains.start(with_gpus, WITH_GPU.identity)
    found = holder(with_gpus, AUDIO)
    assert found is not None
    assert found.name == "one"
    assert observe(with_gpus).holder(GPU) == found
    domains.destroy(with_gpus, WITH_GPU.identity)
    assert holder(with_gpus, GPU) is None


def test_a_paused_domain_holds_its_gpu(with_gpus: Connection) -> None:
    domains.define(with_gpus, WITH_GPU.xml())
    domains.start(with_gpus, WITH_GPU.identity)
    with_gpus.handle().lookupByName("one").suspend()
    found = holder(with_gpus, GPU)
    assert found is not None
    assert (found.name, found.state) == ("one", State.PAUSED)


def test_a_domain_that_is_to_lose_its_gpu_holds_it_until_it_is_off(with_gpus: Connection) -> None:
    domains.define(with_gpus, WITH_GPU.xml())
    domains.start(with_gpus, WITH_GPU.identity)
    domains.define(with_gpus, replace(WITH_GPU, host_devices=()).xml())
    found = holder(with_gpus, GPU)
    assert found is not None
    assert found.configured.host_devices == ()


def test_what_vanishes_while_we_look_is_left_out(simulated: Connection) -> None:
    domains.define(simulated, Guest("one").xml())
    listed = simulated.handle().listAllDomains()
    domains.undefine(simulated, Guest("one").identity)
    found = observation.those_there(simulated, listed, lambda _, each: each.XMLDesc(0))
    assert len(found) == 1


def test_another_failure_is_told(simulated: Connection) -> None:
    def fail(_: Connection, each: object) -> None:
        simulated.handle().defineXML("<domain/>")

    with pytest.raises(ExternalError, match="look at what it listed"):
        observation.those_there(simulated, [object()], fail)
