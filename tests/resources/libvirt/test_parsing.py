"""Records from documents that libvirt wrote, and documents that it never would."""

from pathlib import Path

import pytest

from resources.errors import PermanentError
from resources.libvirt import HostDevice, Identity, Reservation, mark, parsing

DATA = Path(__file__).parents[2] / "data" / "libvirt"


def read(name: str) -> str:
    return (DATA / name).read_text("utf-8")


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<domain>",
        "<network/>",
        "<domain/><domain/>",
        "no xml at all",
        '<!DOCTYPE d [<!ENTITY a "aaaa">]><domain>&a;</domain>',
        "<domain>&unknown;</domain>",
    ],
)
def test_what_is_no_document_of_a_domain_is_refused(xml: str) -> None:
    with pytest.raises(PermanentError, match="could not read a domain document"):
        parsing.machine(xml)


@pytest.mark.parametrize("xml", ["<domain/>", "<domain><name>x</name></domain>"])
def test_without_a_name_and_a_uuid_nothing_is_found_again(xml: str) -> None:
    with pytest.raises(PermanentError, match="lacks a name or a uuid"):
        parsing.identity(xml, "domain")


def test_an_empty_domain_has_nothing() -> None:
    found = parsing.machine("<domain/>")
    assert (found.memory, found.disks, found.mark, found.console_log) == (0, (), None, "")


def test_the_memory_of_a_domain_is_in_bytes() -> None:
    assert parsing.machine(read("domain.xml")).memory == 2**30


def test_each_kind_of_disk_has_its_source() -> None:
    found = {each.target: each for each in parsing.machine(read("domain.xml")).disks}
    sources = {name: each.source for name, each in found.items()}
    assert sources == {"vda": "/p/a.qcow2", "vdb": "/dev/sdb", "sda": "hpc/seed.iso", "sdb": ""}
    assert found["sda"].is_read_only
    assert not found["vda"].is_read_only


def test_interfaces_have_lower_case_macs_and_a_network_or_bridge() -> None:
    first, second = parsing.machine(read("domain.xml")).interfaces
    assert (first.mac, first.network) == ("52:54:00:aa:00:01", "hpc-network")
    assert second.network == "br0"


def test_host_devices_are_pci_addresses_or_mediated_devices() -> None:
    assert parsing.machine(read("domain.xml")).host_devices == (
        HostDevice("pci", address="0000:41:00.1", is_managed=True),
        HostDevice("mdev", uuid="c2177883-f1bb-47f0-914d-32a22e3a8804"),
    )


def test_the_mark_comes_back_as_it_was_made() -> None:
    words = {"cluster": 'a "quoted" <name> & more', "machine": "ü"}
    xml = f"<domain><metadata>{mark(words)}</metadata></domain>"
    assert parsing.mark(xml, "domain") == words


def test_an_empty_mark_is_a_mark() -> None:
    assert parsing.mark(f"<domain><metadata>{mark({})}</metadata></domain>", "domain") == {}


def test_the_metadata_of_others_is_no_mark() -> None:
    xml = "<domain><metadata><m xmlns='urn:other'>5</m></metadata></domain>"
    found = parsing.machine(xml)
    assert found.mark is None
    assert ">5<" in found.metadata["urn:other"]


def test_a_domain_tells_its_agent_and_its_console() -> None:
    found = parsing.machine(read("domain.xml"))
    assert found.has_agent
    assert found.console_log == "/var/log/x.log"


def test_a_network_has_its_ipv4_subnet_and_reservations() -> None:
    found = parsing.network(read("network.xml"))
    assert (found.subnet, found.gateway) == ("192.168.100.0/24", "192.168.100.1")
    assert (found.bridge, found.forward) == ("virbr-hpc", "nat")
    assert found.reservations == (Reservation("52:54:00:aa:00:01", "192.168.100.11", "gpu-1"),)
    assert found.mark == {"cluster": "hpc"}


@pytest.mark.parametrize(
    ("ip", "subnet"),
    [
        ("<ip address='10.0.0.1' prefix='16'/>", "10.0.0.0/16"),
        ("<ip family='ipv6' address='fd00::1' prefix='64'/>", ""),
        ("<ip address='nonsense' prefix='16'/>", ""),
        ("", ""),
    ],
)
def test_a_subnet_is_told_in_one_form(ip: str, subnet: str) -> None:
    assert parsing.network(f"<network>{ip}</network>").subnet == subnet


def test_an_overlay_names_the_file_that_it_lies_on() -> None:
    found = parsing.volume(read("volume.xml"), pool="hpc-pool")
    assert found.backing == "/var/lib/libvirt/images/hpc/base.qcow2"
    assert (found.capacity, found.allocation, found.format) == (10 * 2**30, 200704, "qcow2")


def test_a_pool_has_its_path_and_what_is_left() -> None:
    found = parsing.pool(read("pool.xml"))
    assert found.identity == Identity("hpc-pool", "4dea22b3-1d52-d8f3-2516-782e98ab3fa3")
    assert (found.path, found.available) == ("/var/lib/libvirt/images/hpc", 10**11)


def test_a_device_that_is_not_pci_is_refused() -> None:
    with pytest.raises(PermanentError, match="no PCI device"):
        parsing.pci_device("<device><name>sda</name></device>")
