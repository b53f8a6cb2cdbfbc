"""The documents that libvirt is given: as agreed in tests/data/machines, and taken as they are."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines import domain_xml
from cloud_assets.machines.desired import Cluster, Machine, Memory, Mount
from cloud_assets.machines.domain_xml import Placement, pinned_cpus
from cloud_assets.machines.first_boot import digest, told
from resources.libvirt import parsing, seed
from tests.machines.conftest import Lab, cloud, hpc, wanted

GOLDEN = Path(__file__).parents[1] / "data" / "machines"
PLACE = Placement("kvm", Path("/pools/hpc"), "0123456789abcdef")
GIB = 2**30


def cluster() -> Cluster:
    return wanted(hpc=hpc()).clusters[0]


def machine(number: int, **changes: object) -> Machine:
    return replace(cluster().machines[number], **changes)  # type: ignore[arg-type]


def everything() -> Machine:
    """A machine with all that the settings can ask for."""
    plain = machine(2, vcpus=4)
    mount = Mount("data", Path("/srv/data"), "/data", "admin", "admin", "0755", "rw")
    processor = replace(
        plain.processor, model="host-passthrough", features=(("avx2", True), ("hle", False)),
        numa_nodes=2, nested=True,
    )  # fmt: skip
    memory = Memory(GIB, 2 * 2**20, shared=True)
    return replace(plain, mounts=(mount,), processor=processor, memory=memory)


DOCUMENTS = {
    "network": lambda: domain_xml.network(cluster()).xml,
    "pool": lambda: domain_xml.pool(cluster()).xml,
    "plain": lambda: domain_xml.domain(machine(0), PLACE).xml,
    "emulated": lambda: domain_xml.domain(machine(0), replace(PLACE, kind="qemu")).xml,
    "gpu": lambda: domain_xml.domain(machine(2), PLACE).xml,
    "everything": lambda: domain_xml.domain(
        everything(), replace(PLACE, cpus=(0, 1, 2, 3))
    ).xml,
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_as_it_was_agreed(name: str) -> None:
    """AI_HOW_WRITE_GOLDEN=1 writes them anew, for a look at `git diff`."""
    file = GOLDEN / f"{name}.xml"
    written = DOCUMENTS[name]()
    if os.environ.get("AI_HOW_WRITE_GOLDEN") == "1":
        file.write_text(written, "utf-8")
    assert written == file.read_text("utf-8")


def test_the_gpu_comes_first_and_with_its_rom() -> None:
    found = parsing.element(DOCUMENTS["gpu"](), "domain").findall("devices/hostdev")
    assert [each.find("rom") is not None for each in found] == [True, False]
    assert [each.get("managed") for each in found] == ["yes", "yes"]


def test_a_network_of_no_machine_with_a_fixed_address_keeps_none() -> None:
    bare = replace(cluster(), network=replace(cluster().network, reservations=()))
    assert parsing.network(domain_xml.network(bare).xml).reservations == ()


def test_the_digest_tells_documents_apart_and_not_their_seeds() -> None:
    first = domain_xml.domain(machine(0), PLACE)
    assert domain_xml.domain(machine(0), replace(PLACE, seed="other")).digest == first.digest
    assert domain_xml.domain(machine(0, vcpus=2), PLACE).digest != first.digest
    assert first.digest == domain_xml.domain(machine(0), PLACE).digest


def test_the_mark_says_whose_it_is() -> None:
    document = domain_xml.domain(machine(0), PLACE)
    assert parsing.mark(document.xml, "domain") == {
        "cluster": "hpc", "role": "controller", "seed": PLACE.seed, "digest": document.digest,
    }  # fmt: skip


def test_names_that_are_xml_stay_names() -> None:
    mount = Mount("a", Path('/srv/<"&>'), "/a", "admin", "admin", "0755", "rw")
    xml = domain_xml.domain(machine(0, mounts=(mount,)), PLACE).xml
    source = parsing.element(xml, "domain").find("devices/filesystem/source")
    assert source is not None
    assert source.get("dir") == '/srv/<"&>'


def test_pinned_machines_have_cpus_of_their_own_as_long_as_there_are_some() -> None:
    pinned = [
        replace(each, vcpus=2, processor=replace(each.processor, pinned=True))
        for each in cluster().machines
    ]
    assert pinned_cpus(pinned, 4) == {
        "hpc-controller": (0, 1), "hpc-compute-01": (2, 3), "hpc-compute-02": (0, 1),
    }  # fmt: skip
    assert pinned_cpus(cluster().machines, 4) == {}


@pytest.mark.parametrize("name", ["plain", "emulated", "gpu", "everything"])
def test_libvirt_takes_a_machine_and_says_the_same_of_it(name: str, lab: Lab) -> None:
    from cloud_assets.machines.differences import differences

    written = DOCUMENTS[name]()
    lab.connection.handle().defineXML(written)
    identity = parsing.identity(written, "domain")
    found = lab.connection.handle().lookupByName(identity.name).XMLDesc(0)
    assert differences(written, found, "domain") == ()


def test_libvirt_takes_a_network_and_says_the_same_of_it(lab: Lab) -> None:
    from cloud_assets.machines.differences import differences

    written = DOCUMENTS["network"]()
    found = lab.connection.handle().networkDefineXML(written).XMLDesc(0)
    assert differences(written, found, "network") == ()


def test_a_machine_is_told_who_may_log_in_and_what_to_mount() -> None:
    files = seed.documents(told(everything(), user="admin", ssh_key="ssh-ed25519 AAAA me\n"))
    assert "ssh-ed25519 AAAA me" in files["user-data"]
    assert "local-hostname: compute-02" in files["meta-data"]
    assert "[data, /data, virtiofs" in files["user-data"].replace("\n  - ", ", ").replace(
        "- - data, ", "[data, "
    )


def test_what_is_told_has_a_digest_of_its_own() -> None:
    first = told(machine(0), user="admin", ssh_key="a")
    assert digest(first) == digest(told(machine(0), user="admin", ssh_key="a\n"))
    assert digest(first) != digest(told(machine(0), user="admin", ssh_key="b"))


def test_what_is_told_anew_is_another_instance_and_the_same_is_none() -> None:
    """By the instance cloud-init knows whether it has done all that."""
    instances = [
        told(machine(0), user=user, ssh_key=key).instance
        for user, key in (("admin", "a"), ("admin", "a"), ("admin", "b"), ("root", "a"))
    ]
    assert len(set(instances)) == 3
    assert all(each.startswith(f"{machine(0).uuid}-") for each in instances)


@pytest.mark.parametrize("nodes", range(1, 9))
def test_nodes_have_whole_mebibytes_that_make_the_memory(nodes: int) -> None:
    shaped = replace(machine(0, vcpus=8).processor, numa_nodes=nodes)
    xml = domain_xml.domain(machine(0, vcpus=8, processor=shaped), PLACE).xml
    cells = parsing.element(xml, "domain").findall("cpu/numa/cell")
    memory = [int(each.get("memory", "")) for each in cells]
    assert (len(memory), sum(memory)) == (nodes, GIB // 1024)
    assert all(each % 1024 == 0 for each in memory)


def test_two_clusters_share_no_name() -> None:
    found = wanted(hpc=hpc(), cloud=cloud())
    identities = [
        identity(each.name)
        for each in found.clusters
        for identity in (domain_xml.network_identity, domain_xml.pool_identity)
    ]
    names = [each.name for each in identities] + [each.name for each in found.machines]
    uuids = [each.uuid for each in identities] + [each.uuid for each in found.machines]
    assert len(set(names)) == len(names) == len(set(uuids)) == 10
